/** Batches of random tokens, in texts of random lengths. */
import type { Batch } from "../../src/train/data/batch.ts";
import { seededNumbers } from "../random-model.ts";

/** Windows that hold several texts each; about a fifth of the targets do not count. */
export function randomBatch(rows: number, length: number, vocabularySize: number, seed: number): Batch {
  const next = seededNumbers(seed);
  const below = (limit: number) => Math.floor(((next() + 1) / 2) * limit);
  const size = rows * length;
  const batch = {
    rows,
    length,
    tokens: new Int32Array(size),
    targets: new Int32Array(size),
    positions: new Int32Array(size),
    starts: new Int32Array(size),
    weights: new Float32Array(size),
  };
  for (let t = 0, start = 0; t < size; t++) {
    if (t % length === 0 || below(7) === 0) start = t;
    batch.tokens[t] = below(vocabularySize);
    batch.targets[t] = below(vocabularySize);
    batch.positions[t] = t - start;
    batch.starts[t] = start;
    batch.weights[t] = below(5) === 0 ? 0 : 1;
  }
  return batch;
}
