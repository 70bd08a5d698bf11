/**
 * The bytes of a pickle as a stream: numbers and texts that opcodes bring with them, all checked against the end.
 *
 * Flow: pth.ts (bytes of data.pkl) → PickleBytes → pickle.ts (opcodes).
 * Source: CPython's Lib/pickletools.py (argument formats).
 */
import { CriaError } from "../../shared/errors.ts";

export class PickleBytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #at = 0;
  #opcodeAt = 0;

  /** `where` names the file in messages. */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  /** The next opcode; errors name its byte until the one after it. */
  opcode(): number {
    this.#opcodeAt = this.#at;
    return this.uint8();
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Inexact beyond 2⁵³, which no length reaches. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** The one big-endian number of the format. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** A two's complement integer: a number where it is safe, else a bigint. */
  integer(byteLength: number): number | bigint {
    if (byteLength < 0 || byteLength > 8)
      throw this.error("unsupported", `an integer of ${byteLength} bytes; expected at most 8`);
    const at = this.#take(byteLength);
    let bits = 0n;
    for (let i = 0; i < byteLength; i++) bits |= BigInt(this.#bytes[at + i] as number) << BigInt(8 * i);
    const value = BigInt.asIntN(8 * byteLength, bits);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  text(byteLength: number): string {
    const at = this.#take(byteLength);
    return this.#decode(this.#bytes.subarray(at, at + byteLength));
  }

  /** A name that ends with a newline. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.error("bad-file", "a name that does not end");
    const at = this.#take(end + 1 - this.#at);
    return this.#decode(this.#bytes.subarray(at, end));
  }

  /** An error at the current opcode, to be thrown. */
  error(code: "bad-file" | "unsupported", message: string, cause?: unknown): CriaError {
    return new CriaError(code, `${this.#where}: byte ${this.#opcodeAt}: ${message}`, { cause });
  }

  /** Where the next `byteLength` bytes begin; moves past them. */
  #take(byteLength: number): number {
    const at = this.#at;
    if (byteLength > this.#bytes.length - at)
      throw this.error("bad-file", `needs ${byteLength} bytes, but ${this.#bytes.length - at} are left`);
    this.#at += byteLength;
    return at;
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw this.error("bad-file", "text that is not UTF-8", cause);
    }
  }
}
