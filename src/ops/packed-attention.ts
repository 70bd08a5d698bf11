/**
 * Causal grouped-query attention within the rows of a training step, where keys and values need no cache.
 *
 *   score[s] = scale · q[t, head] · k[s, head / group]      for the rows s from starts[t] to t
 *   y[t, head] = Σ over s of softmax(score)[s] · v[s, head / group]
 *   logSumExp[t, head] = log Σ over s of e^score[s]         (what the gradient recomputes the softmax from)
 *
 * Several texts lie one after the other in a window of `length` rows: starts[t] is where the text of row t begins, so
 * no text sees another. The cache's attention stores halves; here everything is F32, as gradients need.
 *
 * Flow: rope (q, k), matmul (v) → packedAttention → matmul (output projection).
 * Source: Vaswani et al. 2017; Dao et al. 2022, arXiv 2205.14135 (log of the sum instead of the probabilities).
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

/** What attention and its gradient have in common. */
export interface PackedAttentionArgs {
  /** [tokens, heads · headLength] F32 */
  readonly q: Tensor;
  /** [tokens, key/value heads · headLength] F32 */
  readonly k: Tensor;
  /** [tokens, key/value heads · headLength] F32 */
  readonly v: Tensor;
  /** [tokens, heads · headLength] F32 */
  readonly y: Tensor;
  /** [tokens, heads] F32 */
  readonly logSumExp: Tensor;
  /** [1, capacity] I32: the first row that row t sees, in the same window and at most t */
  readonly starts: Tensor;
  /** Rows of a window: no row sees one of another window. */
  readonly length: number;
  readonly headLength: number;
  /** Multiplies the scores: 1/√headLength in every Llama. */
  readonly scale: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export function checkPackedAttention(name: string, args: PackedAttentionArgs): void {
  const { q, k, v, y, logSumExp, headLength, length } = args;
  const fits =
    q.columns === y.columns &&
    k.columns === v.columns &&
    k.columns % headLength === 0 &&
    q.columns % k.columns === 0 &&
    logSumExp.columns * headLength === q.columns &&
    length >= 1;
  expect(fits, () => {
    const shapes = `q is ${describe(q)}, k ${describe(k)}, v ${describe(v)}, y ${describe(y)}`;
    return `${name}: ${shapes}, logSumExp ${describe(logSumExp)} do not fit heads of ${headLength}`;
  });
}

export const packedAttention: Op<PackedAttentionArgs> = {
  check(args) {
    checkPackedAttention("packedAttention", args);
  },
  reference({ q, k, v, y, logSumExp, starts, headLength, scale, count }) {
    const rows = liveRows(count);
    const group = q.columns / k.columns;
    const firsts = starts.intRow(0);
    const mixed = new Float64Array(headLength);
    for (let t = 0; t < rows; t++) {
      const scores = new Float64Array(t + 1 - firsts[t]);
      for (let head = 0; head < logSumExp.columns; head++) {
        const from = head * headLength;
        const keyFrom = Math.floor(head / group) * headLength;
        let largest = Number.NEGATIVE_INFINITY;
        for (let s = firsts[t]; s <= t; s++) {
          let score = 0;
          for (let c = 0; c < headLength; c++) score += q.row(t)[from + c] * k.row(s)[keyFrom + c];
          scores[s - firsts[t]] = score * scale;
          largest = Math.max(largest, score * scale);
        }
        let sum = 0;
        mixed.fill(0);
        for (let s = firsts[t]; s <= t; s++) {
          const weight = Math.exp(scores[s - firsts[t]] - largest);
          sum += weight;
          for (let c = 0; c < headLength; c++) mixed[c] += weight * v.row(s)[keyFrom + c];
        }
        for (let c = 0; c < headLength; c++) y.row(t)[from + c] = mixed[c] / sum;
        logSumExp.row(t)[head] = largest + Math.log(sum);
      }
    }
  },
};
