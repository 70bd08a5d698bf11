/**
 * Writes GGUF files, tensor by tensor, a few rows at a time. What `openGguf` read from a file with canonical padding
 * is written again byte for byte.
 *
 * Flow: model/convert.ts (entries, tensors) → writeGguf → ByteSink.
 */
import { CriaError } from "../../shared/errors.ts";
import type { ByteSink } from "../byte-source.ts";
import { rowPieces } from "../row-pieces.ts";
import { type MetadataValue, type StoredTensor, shapeOf, tensorBytes } from "../stored-tensor.ts";
import {
  type GgufType,
  isAlignment,
  LEAST_BYTES,
  numberOfFormat,
  SCALAR_TYPES,
  type ScalarType,
  shownValue,
  TYPED_ARRAYS,
} from "./types.ts";

/** A metadata value with the type it is written as. */
export interface GgufEntry {
  readonly key: string;
  readonly type: GgufType;
  readonly value: MetadataValue;
}

export interface GgufContents {
  /** Default 3. */
  readonly version?: number;
  /** In this order; `general.alignment` among them sets the alignment, which otherwise is 32. */
  readonly entries: readonly GgufEntry[];
  /** In this order. */
  readonly tensors: readonly StoredTensor[];
  /** Called as data is written. */
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes a whole file; `sink` is left open.
 *
 * @throws {CriaError} "bad-input" for a value that its type cannot hold, or what no reader would take: a name twice, an
 * alignment that is no power of two.
 */
export async function writeGguf(sink: ByteSink, contents: GgufContents): Promise<void> {
  const alignment = contents.entries.find(({ key }) => key === "general.alignment")?.value ?? 32;
  if (!isAlignment(alignment)) throw wrongValue("general.alignment", "a power of two", alignment);
  checkUnique(
    "metadata key",
    contents.entries.map(({ key }) => key),
  );
  checkUnique(
    "tensor",
    contents.tensors.map(({ name }) => name),
  );
  const header = headerBytes(contents, alignment);
  await sink.write(header);
  // A file of metadata alone ends with it, as the vocabulary files of llama.cpp do.
  if (contents.tensors.length > 0) await sink.write(new Uint8Array(padding(header.length, alignment)));
  const total = contents.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let written = 0;
  for (const tensor of contents.tensors) {
    for await (const piece of rowPieces(tensor, contents.signal)) {
      await sink.write(piece);
      written += piece.length;
      contents.onProgress?.(written, total);
    }
    await sink.write(new Uint8Array(padding(tensorBytes(tensor), alignment)));
  }
}

function checkUnique(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new CriaError("bad-input", `the ${what} "${name}" is given twice`);
    seen.add(name);
  }
}

function padding(length: number, alignment: number): number {
  return Math.ceil(length / alignment) * alignment - length;
}

function headerBytes({ version = 3, entries, tensors }: GgufContents, alignment: number): Uint8Array {
  const writer = new Writer();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.scalar("u32", version, "version");
  writer.scalar("u64", tensors.length, "tensor count");
  writer.scalar("u64", entries.length, "entry count");
  for (const { key, type, value } of entries) {
    writer.scalar("string", key, key);
    writer.typed(type, value, key);
  }
  let offset = 0;
  for (const tensor of tensors) {
    const sizes = shapeOf(tensor).toReversed();
    writer.scalar("string", tensor.name, tensor.name);
    writer.scalar("u32", sizes.length, tensor.name);
    for (const size of sizes) writer.scalar("u64", size, tensor.name);
    writer.scalar("u32", numberOfFormat(tensor.format), tensor.name);
    writer.scalar("u64", offset, tensor.name);
    const length = tensorBytes(tensor);
    offset += length + padding(length, alignment);
  }
  return writer.finish();
}

type Setter = (view: DataView, at: number, value: number | bigint) => void;

const SETTERS: Readonly<Record<Exclude<ScalarType, "string">, Setter>> = {
  u8: (view, at, value) => view.setUint8(at, Number(value)),
  i8: (view, at, value) => view.setInt8(at, Number(value)),
  u16: (view, at, value) => view.setUint16(at, Number(value), true),
  i16: (view, at, value) => view.setInt16(at, Number(value), true),
  u32: (view, at, value) => view.setUint32(at, Number(value), true),
  i32: (view, at, value) => view.setInt32(at, Number(value), true),
  f32: (view, at, value) => view.setFloat32(at, Number(value), true),
  bool: (view, at, value) => view.setUint8(at, Number(value)),
  u64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  i64: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  f64: (view, at, value) => view.setFloat64(at, Number(value), true),
};

class Writer {
  #buffer = new Uint8Array(1 << 16);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Makes room for `length` bytes and gives where they go. */
  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#length)));
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** The number of a type, then the value. */
  typed(type: GgufType, value: MetadataValue, key: string): void {
    const element = elementOf(type);
    this.scalar("u32", SCALAR_TYPES.indexOf(element ? "array" : (type as ScalarType)), key);
    if (element) this.#array(element, value, key);
    else this.scalar(type as ScalarType, value, key);
  }

  #array(element: GgufType, value: MetadataValue, key: string): void {
    if (typeof value !== "object") throw wrongValue(key, `array<${element}>`, value);
    const inner = elementOf(element);
    this.scalar("u32", SCALAR_TYPES.indexOf(inner ? "array" : (element as ScalarType)), key);
    this.scalar("u64", value.length, key);
    const Typed = TYPED_ARRAYS[element as ScalarType];
    if (Typed && value instanceof Typed) {
      // As bytes: a float that is not a number would lose its payload on the way.
      this.bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      return;
    }
    for (const item of value) {
      if (inner) this.#array(inner, item, key);
      else this.scalar(element as ScalarType, item, key);
    }
  }

  scalar(type: ScalarType, value: MetadataValue, key: string): void {
    if (type === "string") {
      if (typeof value !== "string" || !value.isWellFormed()) throw wrongValue(key, type, value);
      const bytes = new TextEncoder().encode(value);
      this.scalar("u64", bytes.length, key);
      this.bytes(bytes);
      return;
    }
    if ((type === "bool") !== (typeof value === "boolean")) throw wrongValue(key, type, value);
    const number = typeof value === "boolean" ? Number(value) : value;
    if (typeof number !== "number" && typeof number !== "bigint") throw wrongValue(key, type, value);
    if (!fits(type, number)) throw wrongValue(key, type, value);
    const at = this.#grow(LEAST_BYTES[type]);
    SETTERS[type](this.#view, at, number);
  }
}

/** The element type of an array type. */
function elementOf(type: GgufType): GgufType | undefined {
  return type.startsWith("array<") ? (type.slice(6, -1) as GgufType) : undefined;
}

const BITS: Partial<Record<ScalarType, number>> = {
  u8: 8,
  i8: 8,
  u16: 16,
  i16: 16,
  u32: 32,
  i32: 32,
  u64: 64,
  i64: 64,
};

function fits(type: ScalarType, value: number | bigint): boolean {
  const bits = BITS[type];
  if (bits === undefined) return true;
  if (typeof value === "number" && !Number.isInteger(value)) return false;
  const whole = BigInt(value);
  return (type.startsWith("u") ? BigInt.asUintN(bits, whole) : BigInt.asIntN(bits, whole)) === whole;
}

function wrongValue(key: string, type: string, value: MetadataValue): CriaError {
  return new CriaError("bad-input", `${key}: expected a value of type ${type}, but got ${shownValue(value)}`);
}
