/**
 * The gated activation of the feed-forward block.
 *
 *   y[t, c] = silu(gate[t, c]) · up[t, c],   silu(z) = z / (1 + e^−z)
 *
 * Flow: matmul (gate and up) → swiglu → matmul (down).   Source: Shazeer 2020, arXiv 2002.05202.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface SwigluArgs {
  /** [tokens, feedForward] F32 */
  readonly gate: Tensor;
  /** [tokens, feedForward] F32 */
  readonly up: Tensor;
  /** [tokens, feedForward] F32 */
  readonly y: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const swiglu: Op<SwigluArgs> = {
  check({ gate, up, y }) {
    expect(
      gate.columns === up.columns && gate.columns === y.columns,
      () => `swiglu: gate is ${describe(gate)}, up ${describe(up)}, y ${describe(y)}`,
    );
  },
  reference({ gate, up, y, count }) {
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const gates = gate.row(t);
      const ups = up.row(t);
      const output = y.row(t);
      for (let c = 0; c < output.length; c++) output[c] = (gates[c] / (1 + Math.exp(-gates[c]))) * ups[c];
    }
  },
};
