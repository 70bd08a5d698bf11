/**
 * Log-probability of each target token, without keeping the [tokens, vocabulary] probabilities.
 *
 *   y[t] = logits[t, target[t]] − log Σ over v of e^logits[t, v]      (natural log, ≤ 0)
 *
 * Every loss is host code over these: perplexity, pretraining, fine-tuning, preferences.
 *
 * Flow: matmul (logits) → crossEntropy → evaluate, train.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface CrossEntropyArgs {
  /** [tokens, vocabulary] F32 */
  readonly logits: Tensor;
  /** [1, capacity] I32 */
  readonly targets: Tensor;
  /** [tokens, 1] F32 */
  readonly y: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const crossEntropy: Op<CrossEntropyArgs> = {
  check({ logits, targets, y }) {
    expect(
      y.columns === 1 && targets.columns >= logits.rows && targets.format === "I32",
      () => `crossEntropy: logits are ${describe(logits)}, targets ${describe(targets)}, y ${describe(y)}`,
    );
  },
  reference({ logits, targets, y, count }) {
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const row = logits.row(t);
      let largest = Number.NEGATIVE_INFINITY;
      for (const logit of row) largest = Math.max(largest, logit);
      let sum = 0;
      for (const logit of row) sum += Math.exp(logit - largest);
      y.row(t)[0] = row[targets.intRow(0)[t]] - largest - Math.log(sum);
    }
  },
};
