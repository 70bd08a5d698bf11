/**
 * One AdamW update of a parameter matrix, in place.
 *
 *   g = clip · gradient      m = β₁·m + (1−β₁)·g      v = β₂·v + (1−β₂)·g²
 *   w = w − rate · (m / (1−β₁ⁿ) / (√(v / (1−β₂ⁿ)) + ε) + decay · w)
 *
 * Flow: sumSquares (clip factor) → adamW → the next forward pass.   Source: Loshchilov & Hutter 2017, 1711.05101.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, type Op } from "./op.ts";

export interface AdamWArgs {
  /** [rows, columns] F32 each */
  readonly w: Tensor;
  readonly gradient: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  /** [1, 4] F32: rate, clip, 1−β₁ⁿ, 1−β₂ⁿ — what changes from step to step */
  readonly settings: Tensor;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly decay: number;
}

export const adamW: Op<AdamWArgs> = {
  check({ w, gradient, m, v, settings }) {
    const same = [gradient, m, v].every((tensor) => tensor.rows === w.rows && tensor.columns === w.columns);
    expect(
      same && settings.columns === 4,
      () => `adamW: w is ${describe(w)}, gradient ${describe(gradient)}, m ${describe(m)}, v ${describe(v)}`,
    );
  },
  reference({ w, gradient, m, v, settings, beta1, beta2, epsilon, decay }) {
    const [rate, clip, correction1, correction2] = settings.row(0) as unknown as [
      number,
      number,
      number,
      number,
    ];
    for (let r = 0; r < w.rows; r++) {
      const [weights, gradients, means, variances] = [w.row(r), gradient.row(r), m.row(r), v.row(r)];
      for (let c = 0; c < w.columns; c++) {
        const g = clip * gradients[c];
        means[c] = beta1 * means[c] + (1 - beta1) * g;
        variances[c] = beta2 * variances[c] + (1 - beta2) * g * g;
        const direction = means[c] / correction1 / (Math.sqrt(variances[c] / correction2) + epsilon);
        weights[c] -= rate * (direction + decay * weights[c]);
      }
    }
  },
};
