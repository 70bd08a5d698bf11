/**
 * Root-mean-square normalisation, the step before every attention and feed-forward block.
 *
 *   y[t, c] = x[t, c] · w[c] / √(mean over c of x[t, c]² + ε)
 *
 * Flow: residual stream → rmsNorm → matmul (qkv, gate and up, or logits).
 * Source: Zhang & Sennrich 2019, arXiv 1910.07467.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface RmsNormArgs {
  /** [tokens, channels] F32 */
  readonly x: Tensor;
  /** [1, channels] F32 */
  readonly w: Tensor;
  /** [tokens, channels] F32; may be `x` itself */
  readonly y: Tensor;
  readonly epsilon: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const rmsNorm: Op<RmsNormArgs> = {
  check({ x, w, y }) {
    expect(
      x.columns === w.columns && x.columns === y.columns && w.format === "F32",
      () => `rmsNorm: x is ${describe(x)}, w ${describe(w)}, y ${describe(y)}`,
    );
  },
  reference({ x, w, y, epsilon, count }) {
    const gain = w.row(0);
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const input = x.row(t);
      const output = y.row(t);
      let squares = 0;
      for (let c = 0; c < input.length; c++) squares += input[c] * input[c];
      const scale = 1 / Math.sqrt(squares / input.length + epsilon);
      for (let c = 0; c < input.length; c++) output[c] = input[c] * scale * gain[c];
    }
  },
};
