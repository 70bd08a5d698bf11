/**
 * Gradient of swiglu.
 *
 *   σ = 1 / (1 + e^−gate)      dUp = dy · gate · σ      dGate = dy · up · σ · (1 + gate · (1 − σ))
 *
 * Flow: gradient of down's input → swigluGrad → gradients of gate and up.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface SwigluGradArgs {
  /** [tokens, feedForward] F32 each: what swiglu was given */
  readonly gate: Tensor;
  readonly up: Tensor;
  /** [tokens, feedForward] F32 */
  readonly dy: Tensor;
  /** [tokens, feedForward] F32 each, overwritten */
  readonly dGate: Tensor;
  readonly dUp: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const swigluGrad: Op<SwigluGradArgs> = {
  check({ gate, up, dy, dGate, dUp }) {
    const same = [up, dy, dGate, dUp].every((tensor) => tensor.columns === gate.columns);
    expect(same, () => `swigluGrad: gate is ${describe(gate)}, up ${describe(up)}, dy ${describe(dy)}`);
  },
  reference({ gate, up, dy, dGate, dUp, count }) {
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const [gates, ups, outputs] = [gate.row(t), up.row(t), dy.row(t)];
      const [gateTarget, upTarget] = [dGate.row(t), dUp.row(t)];
      for (let c = 0; c < gates.length; c++) {
        const sigmoid = 1 / (1 + Math.exp(-gates[c]));
        upTarget[c] = outputs[c] * gates[c] * sigmoid;
        gateTarget[c] = outputs[c] * ups[c] * sigmoid * (1 + gates[c] * (1 - sigmoid));
      }
    }
  },
};
