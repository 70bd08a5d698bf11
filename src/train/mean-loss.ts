/**
 * The loss of pretraining and of supervised fine-tuning: the mean of −log-probability over the tokens that count.
 *
 *   loss = −Σ weights[t] · logProbability[t] / Σ weights      over all batches of a step
 *
 * Flow: Batch.weights → seeds → TrainingPass → gradients.
 */
import type { Batch } from "./data/batch.ts";
import type { TrainingPass } from "./pass.ts";

/** What a step's loss is made of. */
export interface LossSum {
  /** Σ −weights · log-probability */
  readonly total: number;
  /** Σ weights */
  readonly counted: number;
}

/** Adds the gradient of the mean loss of several batches together to the parameters; none when no token counts. */
export async function meanLossStep(
  pass: TrainingPass,
  batches: readonly Batch[],
  dropoutSeed: (index: number) => number,
): Promise<LossSum> {
  const counted = batches.reduce((sum, batch) => sum + weightOf(batch), 0);
  // All windows can lie within a long question, whose answer is in a later one.
  if (counted === 0) return { total: 0, counted };
  let total = 0;
  for (const [index, batch] of batches.entries()) {
    const seeds = batch.weights.map((weight) => -weight / counted);
    total += lossOf(batch, await pass.run(batch, seeds, dropoutSeed(index)));
  }
  return { total, counted };
}

/** The loss alone, for validation. */
export async function meanLoss(pass: TrainingPass, batch: Batch): Promise<LossSum> {
  return { total: lossOf(batch, await pass.forward(batch)), counted: weightOf(batch) };
}

function lossOf({ weights }: Batch, logProbabilities: Float32Array): number {
  let loss = 0;
  for (let t = 0; t < weights.length; t++) if (weights[t] !== 0) loss -= weights[t] * logProbabilities[t];
  return loss;
}

function weightOf({ weights }: Batch): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}
