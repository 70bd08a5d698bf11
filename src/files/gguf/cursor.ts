/**
 * Goes through the bytes of a GGUF header in order, each step checked against the length of the file.
 *
 * Flow: read.ts (the file's first bytes) → Cursor → header.ts.
 * Source: the GGUF specification: little-endian numbers, strings and arrays after a u64 length.
 */
import { CriaError } from "../../shared/errors.ts";
import { LEAST_BYTES, SCALAR_TYPES, type ScalarType } from "./types.ts";

/** Thrown when the header goes on beyond the bytes at hand. */
export class NeedMoreBytes extends Error {
  /** Bytes from the start of the file that the step needs. */
  readonly byteLength: number;

  constructor(byteLength: number) {
    super(`the header goes on to byte ${byteLength}`);
    this.byteLength = byteLength;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads little-endian values in order, with errors that name the byte. */
export class Cursor {
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
    if (from + length > this.#bytes.length) throw new NeedMoreBytes(from + length);
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
    const from = this.#take(8);
    // Not by way of `long`: a header has hundreds of thousands of lengths.
    const value = this.#view.getUint32(from, true) + this.#view.getUint32(from + 4, true) * 2 ** 32;
    if (value > Number.MAX_SAFE_INTEGER)
      throw this.bad(`${what} is ${this.#view.getBigUint64(from, true)}, which is beyond any file`);
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

  /**
   * Invalid UTF-8 is refused, not replaced. The vocabularies of this architecture hold raw bytes as names (`<0x0A>`, or
   * letters that stand for bytes), so no sound file has it; and a token whose bytes were replaced would be another
   * token, and would not be written back as it was.
   */
  string(longest: number = Number.MAX_SAFE_INTEGER): string {
    const length = this.count("bytes of a string", 1);
    if (length > longest) throw this.bad(`a name of ${length} bytes; expected at most ${longest}`);
    const bytes = this.bytes(length);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new CriaError(
        "bad-file",
        `${this.name}: invalid UTF-8 in the string of ${length} bytes before byte ${this.at}`,
        { cause },
      );
    }
  }

  type(key: string): (typeof SCALAR_TYPES)[number] {
    const number = this.u32();
    const type = SCALAR_TYPES[number];
    if (!type) throw this.bad(`${key}: unknown metadata type ${number}`);
    return type;
  }
}
