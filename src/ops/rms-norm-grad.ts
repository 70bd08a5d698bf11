/**
 * Gradient of rmsNorm; the scale of each row is computed anew.
 *
 *   s = 1 / √(mean over c of x[t, c]² + ε)      g[c] = dy[t, c] · w[c]
 *   dx[t, c] += s · g[c] − x[t, c] · s³ · mean over c of g[c] · x[t, c]
 *   dw[c] += Σ over t of dy[t, c] · x[t, c] · s
 *
 * Flow: gradient of matmul's input → rmsNormGrad → gradient of the residual stream.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface RmsNormGradArgs {
  /** [tokens, channels] F32: what rmsNorm was given */
  readonly x: Tensor;
  /** [1, channels] F32 */
  readonly w: Tensor;
  /** [tokens, channels] F32 */
  readonly dy: Tensor;
  /** [tokens, channels] F32, added to */
  readonly dx: Tensor;
  /** [1, channels] F32, added to; absent when the gains are not trained */
  readonly dw?: Tensor;
  readonly epsilon: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const rmsNormGrad: Op<RmsNormGradArgs> = {
  check({ x, w, dy, dx, dw }) {
    const same = [w, dy, dx, ...(dw ? [dw] : [])].every((tensor) => tensor.columns === x.columns);
    expect(
      same,
      () => `rmsNormGrad: x is ${describe(x)}, w ${describe(w)}, dy ${describe(dy)}, dx ${describe(dx)}`,
    );
  },
  reference({ x, w, dy, dx, dw, epsilon, count }) {
    const gain = w.row(0);
    const rows = liveRows(count);
    const gainGradient = new Float64Array(gain.length);
    for (let t = 0; t < rows; t++) {
      const [input, output, target] = [x.row(t), dy.row(t), dx.row(t)];
      let squares = 0;
      let products = 0;
      for (let c = 0; c < input.length; c++) {
        squares += input[c] * input[c];
        products += output[c] * gain[c] * input[c];
      }
      const scale = 1 / Math.sqrt(squares / input.length + epsilon);
      const pull = (scale * scale * scale * products) / input.length;
      for (let c = 0; c < input.length; c++) {
        target[c] += scale * output[c] * gain[c] - pull * input[c];
        gainGradient[c] += output[c] * input[c] * scale;
      }
    }
    const sums = dw?.row(0);
    if (sums) for (let c = 0; c < sums.length; c++) sums[c] += gainGradient[c];
  },
};
