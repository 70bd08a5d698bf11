/**
 * Direct preference optimisation: raises the chosen answer over the rejected one, measured against the base model.
 *
 *   margin = β · ((log π(chosen) − log π₀(chosen)) − (log π(rejected) − log π₀(rejected)))
 *   loss = −log σ(margin)      dLoss / d log π(chosen) = −β · σ(−margin), of the rejected +β · σ(−margin)
 *
 * A batch holds pairs of windows: the chosen answer in window 2i, the rejected one in window 2i + 1. Only the answers'
 * tokens count. The base is the model before training, whose log-probabilities are computed once a pair.
 *
 * Flow: preference Batch → TrainingPass.forward → preferenceStep → seeds → TrainingPass.backward.
 * Source: Rafailov et al. 2023, arXiv 2305.18290.
 */
import type { Batch } from "./data/batch.ts";
import type { TrainingPass } from "./pass.ts";

/** Log-probabilities of a pair's answers under the base. */
export interface PairReference {
  readonly chosen: number;
  readonly rejected: number;
}

export interface PreferenceSum {
  /** Σ loss over pairs */
  readonly total: number;
  /** Pairs, without those of empty windows. */
  readonly counted: number;
  /** Pairs whose chosen answer has the larger reward, which is measured against the base; half of those equal. */
  readonly right: number;
  /** Pairs whose chosen answer is the likelier one, a token on average; the base has such a share too. */
  readonly likelier: number;
  /** Σ margin over pairs */
  readonly margin: number;
}

/** What a batch needs to know of its step when it trains. */
export interface PreferenceTraining {
  /** Pairs of the whole step. */
  readonly pairCount: number;
  readonly dropoutSeed: number;
}

/** Sum of an answer's log-probabilities, window by window. */
export function windowSums(batch: Batch, logProbabilities: Float32Array): number[] {
  return Array.from({ length: batch.rows }, (_, window) => {
    let sum = 0;
    for (let t = window * batch.length; t < (window + 1) * batch.length; t++)
      if (batch.weights[t] !== 0) sum += batch.weights[t] * logProbabilities[t];
    return sum;
  });
}

/** Loss and, when it trains, gradients of a batch of pairs. */
export async function preferenceStep(
  pass: TrainingPass,
  batch: Batch,
  references: readonly PairReference[],
  beta: number,
  trains: PreferenceTraining | undefined,
): Promise<PreferenceSum> {
  const sums = windowSums(batch, await pass.forward(batch, trains?.dropoutSeed));
  const lengths = windowSums(batch, new Float32Array(batch.weights.length).fill(1));
  const means = sums.map((sum, window) => sum / lengths[window]);
  const margins = references.map(
    ({ chosen, rejected }, pair) => beta * (sums[2 * pair] - chosen - (sums[2 * pair + 1] - rejected)),
  );
  if (trains) {
    const seeds = new Float32Array(batch.weights.length);
    margins.forEach((margin, pair) => {
      const pull = (beta * sigmoid(-margin)) / trains.pairCount;
      spread(seeds, batch, 2 * pair, -pull);
      spread(seeds, batch, 2 * pair + 1, pull);
    });
    pass.backward(seeds);
  }
  // The last batch of validation is filled up with empty windows.
  const real = margins.filter((_, pair) => lengths[2 * pair] > 0);
  return {
    total: real.reduce((sum, margin) => sum + softplus(-margin), 0),
    counted: real.length,
    right: real.reduce((sum, margin) => sum + (margin > 0 ? 1 : margin === 0 ? 0.5 : 0), 0),
    likelier: references.filter((_, pair) => means[2 * pair] > means[2 * pair + 1]).length,
    margin: real.reduce((sum, margin) => sum + margin, 0),
  };
}

function spread(seeds: Float32Array, { length, weights }: Batch, window: number, seed: number): void {
  for (let t = window * length; t < (window + 1) * length; t++) seeds[t] = seed * weights[t];
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** log(1 + eˣ), which neither overflows nor loses small values. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
