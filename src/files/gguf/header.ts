/**
 * The start of a GGUF file: magic, version, counts, metadata, and where each tensor lies.
 *
 *   "GGUF"  u32 version  u64 tensors  u64 entries  { string key, u32 type, value }…
 *   { string name, u32 dimensions, u64 sizes (innermost first), u32 format, u64 offset }…  padding  data
 *
 * Nothing is allocated by a count that the file's length cannot back.
 *
 * Source: the GGUF specification, versions 2 and 3.
 */
import { CriaError } from "../../shared/errors.ts";
import type { MetadataArray, MetadataValue } from "../stored-tensor.ts";
import {
  formatOfNumber,
  type GgufFormat,
  type GgufType,
  LEAST_BYTES,
  SCALAR_TYPES,
  type ScalarType,
} from "./types.ts";

export interface GgufTensorInfo {
  readonly name: string;
  /** Innermost first, as in the file. */
  readonly sizes: readonly number[];
  readonly format: GgufFormat;
  readonly rows: number;
  readonly columns: number;
  readonly byteLength: number;
  /** From the start of the data. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly types: ReadonlyMap<string, GgufType>;
  readonly tensors: readonly GgufTensorInfo[];
  readonly alignment: number;
  /** Where the data starts. */
  readonly dataOffset: number;
}

/** Thrown by the cursor when the header goes on beyond the bytes at hand. */
export class NeedMoreBytes extends Error {}

const MAGIC = 0x46554747;
const LEAST_ENTRY_BYTES = 8 + 4 + 1;
const LEAST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;
const DEEPEST_ARRAY = 4;
const LONGEST_NAME = 65535;

/**
 * Parses a header out of the first bytes of a file of `fileLength` bytes.
 *
 * @throws {NeedMoreBytes} when `bytes` ends within the header, {CriaError} "bad-file" or "unsupported".
 */
export function parseHeader(name: string, bytes: Uint8Array, fileLength: number): GgufHeader {
  const cursor = new Cursor(name, bytes, fileLength);
  if (fileLength < 24)
    throw cursor.bad(`expected a header of at least 24 bytes, but the file has ${fileLength}`);
  const magic = cursor.u32();
  if (magic !== MAGIC) throw cursor.bad(`expected the magic "GGUF", but found 0x${magic.toString(16)}`);
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw wrongVersion(name, version);
  const tensorCount = cursor.count("tensors", LEAST_TENSOR_BYTES);
  const entryCount = cursor.count("metadata entries", LEAST_ENTRY_BYTES);

  const metadata = new Map<string, MetadataValue>();
  const types = new Map<string, GgufType>();
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.string(LONGEST_NAME);
    if (metadata.has(key)) throw cursor.bad(`the metadata key "${key}" appears twice`);
    const { type, value } = readEntry(cursor, key);
    metadata.set(key, value);
    types.set(key, type);
  }
  const alignment = alignmentOf(metadata.get("general.alignment") ?? 32, cursor);
  const tensors: GgufTensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensorInfo(cursor, alignment);
    if (names.has(tensor.name)) throw cursor.bad(`the tensor "${tensor.name}" appears twice`);
    names.add(tensor.name);
    tensors.push(tensor);
  }
  const dataOffset = Math.ceil(cursor.at / alignment) * alignment;
  checkPlaces(name, tensors, dataOffset, fileLength);
  return { version, metadata, types, tensors, alignment, dataOffset };
}

function wrongVersion(name: string, version: number): CriaError {
  const swapped = version !== 0 && (version & 0xffff) === 0;
  const why = swapped
    ? "the file is big-endian"
    : version === 1
      ? "version 1 was replaced in 2023"
      : "unknown version";
  return new CriaError("unsupported", `${name}: GGUF version ${version} at byte 4 (${why}); expected 2 or 3`);
}

function alignmentOf(value: MetadataValue, cursor: Cursor): number {
  const valid = typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 2 ** 20;
  if (!valid || (value & (value - 1)) !== 0)
    throw cursor.bad(`general.alignment is ${String(value)}; expected a power of two`);
  return value;
}

function readEntry(cursor: Cursor, key: string): { type: GgufType; value: MetadataValue } {
  const type = cursor.type(key);
  if (type !== "array") return { type, value: readScalar(cursor, type, key) };
  return readArray(cursor, key, 1);
}

function readScalar(cursor: Cursor, type: ScalarType, key: string): MetadataValue {
  switch (type) {
    case "string":
      return cursor.string();
    case "bool": {
      const byte = cursor.number("u8");
      if (byte > 1) throw cursor.bad(`${key}: expected 0 or 1 for a bool, but found ${byte}`);
      return byte === 1;
    }
    case "u64":
    case "i64":
      return cursor.long(type);
    default:
      return cursor.number(type);
  }
}

const TYPED_ARRAYS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

function readArray(cursor: Cursor, key: string, depth: number): { type: GgufType; value: MetadataValue } {
  if (depth > DEEPEST_ARRAY) throw cursor.bad(`${key}: arrays are nested deeper than ${DEEPEST_ARRAY}`);
  const element = cursor.type(key);
  const length = cursor.count(`elements of ${key}`, LEAST_BYTES[element]);
  if (element === "array") {
    const inner = Array.from({ length }, () => readArray(cursor, key, depth + 1));
    const types = new Set(inner.map(({ type }) => type));
    if (types.size > 1) throw cursor.bad(`${key}: arrays of different types in one array`);
    const innerType = inner[0]?.type ?? "array<u8>";
    return { type: `array<${innerType}>`, value: inner.map(({ value }) => value) };
  }
  const type: GgufType = `array<${element}>`;
  if (element in TYPED_ARRAYS) {
    const Typed = TYPED_ARRAYS[element as keyof typeof TYPED_ARRAYS];
    const copy = Uint8Array.from(cursor.bytes(length * Typed.BYTES_PER_ELEMENT));
    return { type, value: new Typed(copy.buffer) as MetadataArray };
  }
  const values: MetadataValue[] = [];
  for (let i = 0; i < length; i++) values.push(readScalar(cursor, element, key));
  return { type, value: values };
}

function readTensorInfo(cursor: Cursor, alignment: number): GgufTensorInfo {
  const name = cursor.string(LONGEST_NAME);
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > 4)
    throw cursor.bad(`tensor "${name}": ${dimensions} dimensions; expected 1 to 4`);
  const sizes = Array.from({ length: dimensions }, () => cursor.size(`a dimension of "${name}"`));
  const number = cursor.u32();
  const format = formatOfNumber(number);
  if (!format)
    throw new CriaError("unsupported", `${cursor.name}: tensor "${name}" has the unknown format ${number}`);
  const offset = cursor.size(`the offset of "${name}"`);
  const [columns] = sizes;
  const rows = sizes.slice(1).reduce((product, size) => product * size, 1);
  if (rows * columns === 0) throw cursor.bad(`tensor "${name}": a dimension is 0`);
  if (columns % format.blockLength !== 0)
    throw cursor.bad(
      `tensor "${name}": ${columns} columns are no whole blocks of ${format.blockLength} (${format.name})`,
    );
  const byteLength = rows * (columns / format.blockLength) * format.blockBytes;
  if (!Number.isSafeInteger(rows * columns) || !Number.isSafeInteger(byteLength))
    throw cursor.bad(`tensor "${name}": [${sizes.join(", ")}] is too large`);
  if (offset % alignment !== 0)
    throw cursor.bad(`tensor "${name}": offset ${offset} is no multiple of the alignment ${alignment}`);
  return { name, sizes, format, rows, columns, byteLength, offset };
}

/** Every tensor lies inside the file and no two share bytes. */
function checkPlaces(
  name: string,
  tensors: readonly GgufTensorInfo[],
  dataOffset: number,
  fileLength: number,
): void {
  const ordered = [...tensors].sort((a, b) => a.offset - b.offset);
  let previous: GgufTensorInfo | undefined;
  for (const tensor of ordered) {
    const end = dataOffset + tensor.offset + tensor.byteLength;
    if (end > fileLength)
      throw new CriaError(
        "bad-file",
        `${name}: tensor "${tensor.name}" ends at byte ${end}, but the file has ${fileLength}`,
      );
    if (previous && tensor.offset < previous.offset + previous.byteLength)
      throw new CriaError("bad-file", `${name}: the tensors "${previous.name}" and "${tensor.name}" overlap`);
    previous = tensor;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads little-endian values in order, with errors that name the byte. */
class Cursor {
  readonly name: string;
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileLength: number;

  constructor(name: string, bytes: Uint8Array, fileLength: number) {
    this.name = name;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileLength = fileLength;
  }

  bad(message: string): CriaError {
    return new CriaError("bad-file", `${this.name}: ${message} (before byte ${this.at})`);
  }

  /** Moves on by `length` bytes and gives where they start. */
  #take(length: number): number {
    const from = this.at;
    if (from + length > this.#fileLength)
      throw this.bad(`the header needs ${length} more bytes, but the file has ${this.#fileLength}`);
    if (from + length > this.#bytes.length) throw new NeedMoreBytes();
    this.at = from + length;
    return from;
  }

  bytes(length: number): Uint8Array {
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  number(type: Exclude<ScalarType, "string" | "bool" | "u64" | "i64">): number {
    const from = this.#take(LEAST_BYTES[type]);
    switch (type) {
      case "u8":
        return this.#view.getUint8(from);
      case "i8":
        return this.#view.getInt8(from);
      case "u16":
        return this.#view.getUint16(from, true);
      case "i16":
        return this.#view.getInt16(from, true);
      case "u32":
        return this.#view.getUint32(from, true);
      case "i32":
        return this.#view.getInt32(from, true);
      case "f32":
        return this.#view.getFloat32(from, true);
      case "f64":
        return this.#view.getFloat64(from, true);
      default:
        return type satisfies never;
    }
  }

  /** A 64-bit integer: a number when that is exact. */
  long(type: "u64" | "i64"): number | bigint {
    const from = this.#take(8);
    const value = type === "u64" ? this.#view.getBigUint64(from, true) : this.#view.getBigInt64(from, true);
    return BigInt.asIntN(54, value) === value ? Number(value) : value;
  }

  /** A u64 that is a size or an offset. */
  size(what: string): number {
    const value = this.long("u64");
    if (typeof value !== "number" || value > Number.MAX_SAFE_INTEGER)
      throw this.bad(`${what} is ${value}, which is beyond any file`);
    return value;
  }

  /** A u64 that counts things of at least `leastBytes` each, checked against what is left of the file. */
  count(what: string, leastBytes: number): number {
    const value = this.size(`the number of ${what}`);
    const left = this.#fileLength - this.at;
    if (value * leastBytes > left)
      throw this.bad(`${value} ${what} need at least ${value * leastBytes} bytes, but ${left} are left`);
    return value;
  }

  string(longest = Number.MAX_SAFE_INTEGER): string {
    const length = this.count("bytes of a string", 1);
    if (length > longest) throw this.bad(`a name of ${length} bytes; expected at most ${longest}`);
    const bytes = this.bytes(length);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new CriaError("bad-file", `${this.name}: invalid UTF-8 in the string before byte ${this.at}`, {
        cause,
      });
    }
  }

  type(key: string): (typeof SCALAR_TYPES)[number] {
    const number = this.u32();
    const type = SCALAR_TYPES[number];
    if (!type) throw this.bad(`${key}: unknown metadata type ${number}`);
    return type;
  }
}
