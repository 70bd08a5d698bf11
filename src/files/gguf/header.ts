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
import { Cursor } from "./cursor.ts";
import {
  formatOfNumber,
  type GgufFormat,
  type GgufType,
  isAlignment,
  LEAST_BYTES,
  type ScalarType,
  shownValue,
  TYPED_ARRAYS,
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
  if (!isAlignment(value))
    throw cursor.bad(`general.alignment is ${shownValue(value)}; expected a power of two`);
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

function readArray(cursor: Cursor, key: string, depth: number): { type: GgufType; value: MetadataValue } {
  if (depth > DEEPEST_ARRAY) throw cursor.bad(`${key}: arrays are nested deeper than ${DEEPEST_ARRAY}`);
  const element = cursor.type(key);
  const length = cursor.count(`elements of ${key}`, LEAST_BYTES[element]);
  if (element === "array") {
    const inner: { type: GgufType; value: MetadataValue }[] = [];
    for (let i = 0; i < length; i++) inner.push(readArray(cursor, key, depth + 1));
    const types = new Set(inner.map(({ type }) => type));
    if (types.size > 1) throw cursor.bad(`${key}: arrays of different types in one array`);
    const innerType = inner[0]?.type ?? "array<u8>";
    return { type: `array<${innerType}>`, value: inner.map(({ value }) => value) };
  }
  const type: GgufType = `array<${element}>`;
  const Typed = TYPED_ARRAYS[element];
  if (Typed) {
    const copy = Uint8Array.from(cursor.bytes(length * Typed.BYTES_PER_ELEMENT));
    const value: MetadataArray = new Typed(copy.buffer);
    return { type, value };
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
