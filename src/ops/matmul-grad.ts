/**
 * Gradient of matmul with respect to its weights, which must be F32: packed weights are not trained.
 *
 *   dw[o, i] += α · Σ over t of dy[t, o] · x[t, i]      (in order of t)
 *
 * The gradient with respect to x is matmul itself, transposed.
 *
 * Flow: gradient of matmul's output, its input → matmulGrad → adamW.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface MatmulGradArgs {
  /** [tokens, inputs] F32: what matmul was given */
  readonly x: Tensor;
  /** [tokens, outputs] F32 */
  readonly dy: Tensor;
  /** [outputs, inputs] F32, added to */
  readonly dw: Tensor;
  /** α of matmul, default 1 */
  readonly scale?: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const matmulGrad: Op<MatmulGradArgs> = {
  check({ x, dy, dw }) {
    expect(
      dw.rows === dy.columns && dw.columns === x.columns && dw.format === "F32",
      () => `matmulGrad: x is ${describe(x)}, dy ${describe(dy)}, dw ${describe(dw)}`,
    );
  },
  reference({ x, dy, dw, scale = 1, count }) {
    const rows = liveRows(count);
    const sums = new Float64Array(dw.columns);
    for (let o = 0; o < dw.rows; o++) {
      sums.fill(0);
      for (let t = 0; t < rows; t++) {
        const factor = dy.row(t)[o];
        const input = x.row(t);
        for (let i = 0; i < sums.length; i++) sums[i] += factor * input[i];
      }
      const target = dw.row(o);
      for (let i = 0; i < sums.length; i++) target[i] += scale * sums[i];
    }
  },
};
