/**
 * Gradient of crossEntropy, seeded per token: with seeds −1/n it is that of the mean loss of n tokens; preference losses
 * give each token a seed of its own.
 *
 *   dLogits[t, v] = seeds[t] · ([v = targets[t]] − softmax(logits[t])[v])
 *
 * Flow: crossEntropy → a loss in host code → seeds → crossEntropyGrad → gradient of the head's output.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface CrossEntropyGradArgs {
  /** [tokens, vocabulary] F32 */
  readonly logits: Tensor;
  /** [1, capacity] I32 */
  readonly targets: Tensor;
  /** [tokens, 1] F32: derivative of the loss by the log-probability of token t's target */
  readonly seeds: Tensor;
  /** [tokens, vocabulary] F32, overwritten; may be `logits` itself */
  readonly dLogits: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const crossEntropyGrad: Op<CrossEntropyGradArgs> = {
  check({ logits, targets, seeds, dLogits }) {
    const fits = logits.columns === dLogits.columns && seeds.columns === 1 && targets.format === "I32";
    expect(
      fits,
      () =>
        `crossEntropyGrad: logits are ${describe(logits)}, seeds ${describe(seeds)}, dLogits ${describe(dLogits)}`,
    );
  },
  reference({ logits, targets, seeds, dLogits, count }) {
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const [row, target] = [logits.row(t), dLogits.row(t)];
      const id = targets.intRow(0)[t];
      const seed = seeds.row(t)[0];
      let largest = Number.NEGATIVE_INFINITY;
      for (const logit of row) largest = Math.max(largest, logit);
      let sum = 0;
      for (const logit of row) sum += Math.exp(logit - largest);
      for (let v = 0; v < row.length; v++)
        target[v] = seed * ((v === id ? 1 : 0) - Math.exp(row[v] - largest) / sum);
    }
  },
};
