/**
 * Picks a token on the device, so that a whole row of logits need not be read back.
 *
 * Temperature 0 takes the largest logit (the lowest id on a tie). Otherwise the `topK` largest logits, sorted downwards
 * with ties by id, get probabilities softmax(logit / temperature), and the first whose running sum exceeds u is taken:
 *
 *   u = hash(seed[t]) / 2³²      (a 32-bit integer hash, so a seed gives the same token on every device)
 *
 * No step of Cria's own runs it yet: constraints and the full set of sampling options (generate/sampler.ts) need the row.
 *
 * Flow: matmul (logits) → sample → ids.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface SampleArgs {
  /** [tokens, vocabulary] F32 */
  readonly logits: Tensor;
  /** [1, capacity] I32 */
  readonly seeds: Tensor;
  /** [tokens, 1] I32 */
  readonly ids: Tensor;
  readonly temperature: number;
  /** How many candidates to draw from, at least 1. */
  readonly topK: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const sample: Op<SampleArgs> = {
  check({ logits, ids, temperature, topK }) {
    expect(
      ids.columns === 1 && ids.format === "I32" && temperature >= 0 && topK >= 1 && topK <= logits.columns,
      () =>
        `sample: logits are ${describe(logits)}, ids ${describe(ids)}, temperature ${temperature}, topK ${topK}`,
    );
  },
  reference({ logits, seeds, ids, temperature, topK, count }) {
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const row = logits.row(t);
      ids.intRow(t)[0] =
        temperature === 0 ? largestOf(row) : draw(row, temperature, topK, seeds.intRow(0)[t]);
    }
  },
};

function largestOf(row: Float32Array): number {
  let best = 0;
  for (let id = 1; id < row.length; id++) if (row[id] > row[best]) best = id;
  return best;
}

function draw(row: Float32Array, temperature: number, topK: number, seed: number): number {
  const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
  const candidates = order.slice(0, topK);
  const largest = row[candidates[0]];
  const weights = candidates.map((id) => Math.exp((row[id] - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let rest = (hashSeed(seed) / 2 ** 32) * total;
  for (let i = 0; i < candidates.length; i++) {
    rest -= weights[i];
    if (rest < 0) return candidates[i];
  }
  return candidates[candidates.length - 1];
}

/** A bijective 32-bit mix (two multiply-xorshift rounds): neighbouring seeds give unrelated draws. */
function hashSeed(seed: number): number {
  let h = seed >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
