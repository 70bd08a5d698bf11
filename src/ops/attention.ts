/**
 * Causal grouped-query attention over the cache.
 *
 *   score[p] = scale · q[t, head] · k[cell(p, head / group)]      for the positions p that t may see
 *   y[t, head] = Σ over p of softmax(score)[p] · v[cell(p, head / group)]
 *
 * A token at position n sees 0 … n of its own sequence, or with a window the last `window` of these. Each key/value
 * head serves `group` consecutive query heads. Positions are visited in ascending order whatever the step's shape.
 *
 * Over keys of Q8_0 a query is rounded to 16 bits, so that products are of whole numbers:
 *
 *   d = max |q| / 32767 over the head      q[c] = d · round(q[c] / d)
 *
 * That is 258 times finer than keys are rounded.
 *
 * Flow: store (keys, values) and rope (q) → attention → matmul (output projection).
 * Source: Vaswani et al. 2017; Ainslie et al. 2023, arXiv 2305.13245 (grouped queries); Jiang et al. 2023 (window).
 */
import type { Tensor } from "../tensor/tensor.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import type { View } from "../tensor/view.ts";
import { roundToEven } from "./activations.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";
import { type CacheArgs, cellOf, isCacheFormat, pagesOf } from "./store.ts";

export interface AttentionArgs extends CacheArgs {
  /** [tokens, heads · headLength] F32 */
  readonly q: Tensor;
  /** [cells, headLength] F16 or Q8_0 */
  readonly keys: Tensor;
  /** [cells, headLength] F16 or Q8_0, whatever the keys are */
  readonly values: Tensor;
  /** [tokens, heads · headLength] F32 */
  readonly y: Tensor;
  readonly kvHeads: number;
  /** Multiplies the scores: 1/√headLength in every Llama. */
  readonly scale: number;
  /** How many positions a token sees, itself included; 0 for all. */
  readonly window: number;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const attention: Op<AttentionArgs> = {
  check({ q, keys, values, y, kvHeads }) {
    const fits =
      q.columns === y.columns &&
      keys.columns === values.columns &&
      isCacheFormat(keys.format) &&
      isCacheFormat(values.format) &&
      q.columns % (kvHeads * keys.columns) === 0;
    expect(fits, () => {
      const shapes = `q is ${describe(q)}, keys ${describe(keys)}, values ${describe(values)}, y ${describe(y)}`;
      return `attention: ${shapes} do not fit ${kvHeads} key/value heads`;
    });
  },
  reference({ q, keys, values, y, kvHeads, scale, window, positions, sequences, pages, pageLength, count }) {
    const rows = liveRows(count);
    const headLength = keys.columns;
    const group = q.columns / headLength / kvHeads;
    const cached = new Float32Array(headLength);
    for (let t = 0; t < rows; t++) {
      const position = positions.intRow(0)[t];
      const first = window > 0 ? Math.max(0, position - window + 1) : 0;
      const seen = pagesOf(pages, sequences, t);
      const scores = new Float64Array(position + 1 - first);
      for (let start = 0; start < q.columns; start += headLength) {
        const head = Math.floor(start / headLength / group);
        const given = q.row(t).subarray(start, start + headLength);
        const query = keys.format === "Q8_0" ? roundedQuery(given) : given;
        for (let p = first; p <= position; p++) {
          readRow(keys, cellOf(seen, pageLength, p, { head, kvHeads }), cached);
          let score = 0;
          for (let c = 0; c < headLength; c++) score += query[c] * cached[c];
          scores[p - first] = score * scale;
        }
        softmax(scores);
        const output = y.row(t).subarray(start, start + headLength);
        const mixed = new Float64Array(headLength);
        for (let p = first; p <= position; p++) {
          readRow(values, cellOf(seen, pageLength, p, { head, kvHeads }), cached);
          const weight = scores[p - first];
          for (let c = 0; c < headLength; c++) mixed[c] += weight * cached[c];
        }
        output.set(mixed);
      }
    }
  },
};

/** A query of magnitudes below this counts as 0: 32767 / d would be infinite. */
const SMALLEST_QUERY = 2 ** -113;

/** Whole numbers of 16 bits times their scale. */
function roundedQuery(query: Float32Array): Float64Array {
  const largest = query.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const inverse = largest < SMALLEST_QUERY ? 0 : Math.fround(32767 / largest);
  const scale = Math.fround(largest / 32767);
  return Float64Array.from(query, (value) => scale * roundToEven(Math.fround(value * inverse)));
}

/** The floats of a cell. */
function readRow(cache: View, cell: number, out: Float32Array): void {
  dequantizeRow(cache.format, cache.bytes, cache.rowOffset(cell), cache.columns, out);
}

/** Turns scores into probabilities in place; subtracts the largest first so that exp cannot overflow. */
function softmax(scores: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (const score of scores) largest = Math.max(largest, score);
  let sum = 0;
  for (let p = 0; p < scores.length; p++) sum += scores[p] = Math.exp(scores[p] - largest);
  for (let p = 0; p < scores.length; p++) scores[p] /= sum;
}
