/**
 * A tensor whose bytes this program can reach: what the reference code of the ops computes with.
 *
 * Flow: devices/reference makes one view per tensor argument → ops' reference code.
 */
import { CriaError } from "../shared/errors.ts";
import { rowBytes } from "./format.ts";
import type { Tensor } from "./tensor.ts";

/** Rows of a tensor as typed arrays. Row arrays are made once and kept: plans are replayed many times. */
export class View {
  readonly rows: number;
  readonly columns: number;
  readonly format: Tensor["format"];
  /** The whole memory; a packed row starts at `rowOffset(index)`. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #tensor: Tensor;
  readonly #floats: Float32Array[] = [];
  readonly #halves: Uint16Array[] = [];
  readonly #ints: Int32Array[] = [];

  constructor(tensor: Tensor, bytes: Uint8Array<ArrayBuffer>) {
    this.rows = tensor.rows;
    this.columns = tensor.columns;
    this.format = tensor.format;
    this.bytes = bytes;
    this.#tensor = tensor;
    const end = this.rowOffset(tensor.rows - 1) + rowBytes(tensor.format, tensor.columns);
    if (tensor.byteOffset < 0 || tensor.rows < 1 || end > bytes.length)
      throw new CriaError("bad-input", `a tensor ends at byte ${end} of a memory of ${bytes.length} bytes`);
  }

  /** Byte in `bytes` where a row starts. */
  rowOffset(index: number): number {
    return this.#tensor.byteOffset + index * this.#tensor.stride;
  }

  /** A row of F32 values, [columns]; writing to it writes the tensor. */
  row(index: number): Float32Array {
    this.#floats[index] ??= this.#rowOf("F32", index, Float32Array);
    return this.#floats[index];
  }

  /** A row of F16 values as bits, [columns]. */
  halfRow(index: number): Uint16Array {
    this.#halves[index] ??= this.#rowOf("F16", index, Uint16Array);
    return this.#halves[index];
  }

  /** A row of I32 values, [columns]. */
  intRow(index: number): Int32Array {
    this.#ints[index] ??= this.#rowOf("I32", index, Int32Array);
    return this.#ints[index];
  }

  #rowOf<Row>(
    format: Tensor["format"],
    index: number,
    make: new (buffer: ArrayBuffer, byteOffset: number, length: number) => Row,
  ): Row {
    if (this.format !== format)
      throw new CriaError("bad-input", `expected a tensor of ${format}, but it is ${this.format}`);
    return new make(this.bytes.buffer, this.bytes.byteOffset + this.rowOffset(index), this.columns);
  }
}
