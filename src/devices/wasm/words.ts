/**
 * What lowering makes calls of: words, addresses, and room that a call may use while it runs.
 *
 * Flow: lower.ts, lower-products.ts → Call → plan in shared memory.
 */
import { CriaError } from "../../shared/errors.ts";
import type { TensorFormat } from "../../tensor/format.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as codes from "./kernels/codes.ts";
import type { Kernels } from "./module.ts";

/** A call of a kernel: its number and arguments, at most CALL_BYTES. */
export type Call = Int32Array;

/** What lowering needs to know of the device. */
export interface Place {
  readonly kernels: Kernels;
  readonly threadCount: number;
  /** How integer products are summed (codes.ts). */
  readonly mode: number;
  /** Where row 0 of a tensor in plain order starts. */
  addressOf(tensor: Tensor): number;
  /** Where a tensor's interleaved rows start, or undefined if its rows are in plain order. */
  interleavedAddressOf(tensor: Tensor): number | undefined;
  /** Bytes that any call may use while it runs. */
  scratch(byteLength: number): number;
}

/** 1 in every byte, which kernels make their masks of. */
export const ONES = 0x01010101;
/** Mask and factor that make f32 of f16 (kernels/numbers.ts). */
export const HALF_CONSTANTS: readonly number[] = [0x8fffe000, 0x77800000];

const FORMATS: Readonly<Record<Exclude<TensorFormat, "I32">, number>> = {
  F32: codes.F32,
  F16: codes.F16,
  BF16: codes.BF16,
  Q4_0: codes.Q4_0,
  Q4_1: codes.Q4_1,
  Q5_0: codes.Q5_0,
  Q5_1: codes.Q5_1,
  Q8_0: codes.Q8_0,
  Q2_K: codes.Q2_K,
  Q3_K: codes.Q3_K,
  Q4_K: codes.Q4_K,
  Q5_K: codes.Q5_K,
  Q6_K: codes.Q6_K,
  IQ4_NL: codes.IQ4_NL,
};

/** The number of a weights' format in plans. */
export function formatCode(format: TensorFormat): number {
  if (format === "I32") throw new CriaError("bad-input", "expected weights, but the tensor is I32");
  return FORMATS[format];
}

export function rowsOf(place: Place, tensor: Tensor): [address: number, stride: number] {
  return [place.addressOf(tensor), tensor.stride];
}

/** Parts of the scratch space: all sizes are known before the first address is. */
export class Scratch {
  readonly #place: Place;
  #byteLength = 0;
  #start = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  take(byteLength: number): () => number {
    const offset = this.#byteLength;
    this.#byteLength += Math.ceil(byteLength / 64) * 64;
    return () => this.#start + offset;
  }

  perThread(byteLength: number): () => number {
    return this.take(byteLength * this.#place.threadCount);
  }

  resolve(body: () => Call[]): Call[] {
    this.#start = this.#place.scratch(this.#byteLength);
    return body();
  }
}

export function call(...words: number[]): Call {
  return Int32Array.from(words);
}

const floats = new Float32Array(1);
const bits = new Int32Array(floats.buffer);

export function floatBits(value: number): number {
  floats[0] = value;
  return bits[0];
}
