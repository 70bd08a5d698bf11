/** A batch to train on whose ids mean nothing: speed depends on its shape. */
import type { Batch } from "../../src/train/data/batch.ts";

/** @param seed other ids for other steps */
export function randomBatch(windows: number, length: number, vocabularySize: number, seed: number): Batch {
  const tokens = windows * length;
  const ids = Int32Array.from(
    { length: tokens + 1 },
    (_, i) => ((i * 7919 + seed * 104729) >>> 3) % vocabularySize,
  );
  return {
    ...{ rows: windows, length, tokens: ids.slice(0, tokens), targets: ids.slice(1) },
    positions: Int32Array.from({ length: tokens }, (_, t) => t % length),
    starts: Int32Array.from({ length: tokens }, (_, t) => t - (t % length)),
    weights: new Float32Array(tokens).fill(1),
  };
}
