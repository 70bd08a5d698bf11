/**
 * A bump allocator over one device memory: the buffers of a step are allocated once, and a training step's activations
 * are dropped together by going back to a mark.
 */
import { CriaError } from "../shared/errors.ts";
import type { Bank } from "./device.ts";
import { rowBytes, type TensorFormat } from "./format.ts";
import { denseTensor, type Memory, type Tensor } from "./tensor.ts";

/** Tensors start at multiples of this, so that SIMD loads and GPU bindings are aligned. */
const ALIGNMENT = 256;

export class Arena {
  readonly #bank: Bank;
  readonly #memory: Memory;
  #used = 0;
  #peak = 0;

  constructor(bank: Bank, byteLength: number) {
    this.#bank = bank;
    this.#memory = bank.allocate(byteLength);
  }

  /** Bytes that a tensor takes in an arena, with its alignment. */
  static bytesOf(rows: number, columns: number, format: TensorFormat = "F32"): number {
    return Math.ceil((rows * rowBytes(format, columns)) / ALIGNMENT) * ALIGNMENT;
  }

  /** A tensor that stays until the arena is rewound. @throws {CriaError} code "bad-input" when the arena is full. */
  allocate(rows: number, columns: number, format: TensorFormat = "F32"): Tensor {
    const byteLength = Arena.bytesOf(rows, columns, format);
    if (this.#used + byteLength > this.#memory.byteLength)
      throw new CriaError(
        "bad-input",
        `arena: ${byteLength} bytes wanted for [${rows}, ${columns}] ${format}, ${this.#memory.byteLength - this.#used} left`,
      );
    const tensor = denseTensor(this.#memory, this.#used, rows, columns, format);
    this.#used += byteLength;
    this.#peak = Math.max(this.#peak, this.#used);
    return tensor;
  }

  /** The most bytes that were in use at any time: what an arena for the same work must have. */
  get peak(): number {
    return this.#peak;
  }

  /** The place to come back to with `rewind`. */
  mark(): number {
    return this.#used;
  }

  /** Gives back everything allocated since the mark. */
  rewind(mark: number): void {
    this.#used = mark;
  }

  dispose(): void {
    this.#bank.free(this.#memory);
  }
}
