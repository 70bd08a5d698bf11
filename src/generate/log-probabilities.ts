/**
 * Natural log-probabilities under the model's own distribution: temperature, penalties and filters play no part.
 *
 *   log p(id) = logit[id] − log Σ exp(logit)
 *
 * Flow: model (logits) → logProbability, topLogProbabilities → server, evaluate/.
 */
import { CriaError } from "../shared/errors.ts";
import { Candidates } from "./candidates.ts";

/** A token and how likely the model found it. */
export interface LogProbability {
  readonly id: number;
  readonly logProbability: number;
}

/** @throws {CriaError} "bad-input" for an id outside the row, or logits that are no distribution. */
export function logProbability(logits: Float32Array, id: number): number {
  if (!Number.isInteger(id) || id < 0 || id >= logits.length)
    throw new CriaError("bad-input", `token id ${id} is outside the vocabulary of ${logits.length}`);
  return logits[id] - logSumExp(logits);
}

/** The `count` likeliest tokens, likeliest first, lower ids first among equals. */
export function topLogProbabilities(logits: Float32Array, count: number): LogProbability[] {
  if (!Number.isInteger(count) || count < 0)
    throw new CriaError("bad-input", `count: expected a whole number of at least 0, got ${count}`);
  const candidates = new Candidates(Math.min(count, logits.length));
  const total = logSumExp(logits);
  candidates.select(logits, count);
  return Array.from(candidates.ids, (id) => ({ id, logProbability: logits[id] - total }));
}

/** Subtracts the largest logit first, so that no exponential overflows. */
function logSumExp(logits: Float32Array): number {
  const largest = logits[checkedArgmax(logits)];
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - largest);
  return largest + Math.log(sum);
}

/**
 * The id of the largest logit, the lowest one on a tie.
 *
 * @throws {CriaError} "bad-input" for a logit that is NaN or +Infinity, or when all are -Infinity.
 */
export function checkedArgmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    // False for NaN as well.
    if (!(logit < Number.POSITIVE_INFINITY))
      throw new CriaError(
        "bad-input",
        `logits: expected numbers below infinity, got ${logit} for token ${id}`,
      );
    if (logit > logits[best]) best = id;
  }
  if (logits.length === 0 || logits[best] === Number.NEGATIVE_INFINITY)
    throw new CriaError("bad-input", `logits: all ${logits.length} tokens are ruled out`);
  return best;
}
