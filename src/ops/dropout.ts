/**
 * Leaves out a share of the values and scales the rest, so that the expectation stays. Its gradient is itself, with the
 * same seed.
 *
 *   y[t, c] = residual[t, c] + x[t, c] / (1 − rate) where hash(seed, salt, t · columns + c) ≥ rate · 2³², else residual[t, c]
 *
 * The hash is a counter's: no value depends on another's, nor on how rows are shared by threads.
 *
 * Flow: rmsNorm → dropout → matmul (LoRA's A).   Source: Srivastava et al. 2014; the mixer of PCG-RXS-M-XS.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface DropoutArgs {
  /** [tokens, channels] F32 */
  readonly x: Tensor;
  /** [tokens, channels] F32; may be `x` itself */
  readonly y: Tensor;
  /** [tokens, channels] F32, added to the kept values; may be `y` itself */
  readonly residual?: Tensor;
  /** [1, 1] I32: changes from step to step */
  readonly seed: Tensor;
  /** Tells the places of a model apart that share a seed; a whole number below 2³¹. */
  readonly salt: number;
  /** Share that is left out, in [0, 1). */
  readonly rate: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

/** 32 bits from three numbers; whole-number arithmetic only, so every device has the same. */
function dropoutHash(seed: number, salt: number, index: number): number {
  let state = Math.imul(seed ^ Math.imul(salt, 0x9e3779b1), 747796405) + Math.imul(index, 0x85ebca6b);
  state = Math.imul(((state >>> ((state >>> 28) + 4)) ^ state) >>> 0, 277803737);
  return ((state >>> 22) ^ state) >>> 0;
}

/** Values whose hash lies below this are left out. */
export function dropoutThreshold(rate: number): number {
  return Math.floor(rate * 2 ** 32);
}

export const dropout: Op<DropoutArgs> = {
  check({ x, y, rate }) {
    expect(
      x.columns === y.columns && rate >= 0 && rate < 1,
      () => `dropout: x is ${describe(x)}, y ${describe(y)}, rate ${rate}; expected a rate in [0, 1)`,
    );
  },
  reference({ x, y, residual, seed, salt, rate, count }) {
    const rows = liveRows(count);
    const key = seed.intRow(0)[0];
    const threshold = dropoutThreshold(rate);
    const factor = Math.fround(1 / (1 - rate));
    for (let t = 0; t < rows; t++) {
      const [input, output, added] = [x.row(t), y.row(t), residual?.row(t)];
      for (let c = 0; c < input.length; c++) {
        const kept = dropoutHash(key, salt, t * input.length + c) >= threshold;
        output[c] = (added ? added[c] : 0) + (kept ? input[c] * factor : 0);
      }
    }
  },
};
