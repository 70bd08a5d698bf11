/**
 * Rotary position embedding, in place: each pair of channels of a head turns by an angle that grows with the position.
 *
 *   (a, b) = (x[2i], x[2i+1]),  θ = position · frequency[i]
 *   x[2i] = a · cos θ − b · sin θ      x[2i+1] = a · sin θ + b · cos θ
 *
 * Pairs are neighbours, as in Meta's files and GGUF; model/weights.ts brings Hugging Face's rows into this order.
 *
 * Flow: matmul (q, k) → rope → store, attention.   Source: Su et al. 2021, arXiv 2104.09864.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface RopeArgs {
  /** [tokens, heads · headLength] F32 */
  readonly x: Tensor;
  /** [1, capacity] I32 */
  readonly positions: Tensor;
  /** [1, rotated pairs] F32, radians per position; channels of a head beyond the pairs stay */
  readonly frequencies: Tensor;
  readonly headLength: number;
  /** Turn back: the gradient of rope. Default false. */
  readonly inverse?: boolean;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const rope: Op<RopeArgs> = {
  check({ x, frequencies, headLength }) {
    expect(
      x.columns % headLength === 0 && 2 * frequencies.columns <= headLength,
      () => `rope: x is ${describe(x)}, ${frequencies.columns} pairs do not fit heads of ${headLength}`,
    );
  },
  reference({ x, positions, frequencies, headLength, inverse, count }) {
    const rows = liveRows(count);
    const turns = frequencies.row(0);
    for (let t = 0; t < rows; t++) {
      const row = x.row(t);
      const position = positions.intRow(0)[t];
      for (let i = 0; i < turns.length; i++) {
        const angle = Math.fround(position * turns[i]);
        const cos = Math.cos(angle);
        const sin = inverse ? -Math.sin(angle) : Math.sin(angle);
        for (let c = 2 * i; c < row.length; c += headLength) {
          const a = row[c];
          const b = row[c + 1];
          row[c] = a * cos - b * sin;
          row[c + 1] = a * sin + b * cos;
        }
      }
    }
  },
};
