/**
 * Gradient of packedAttention; the probabilities are computed anew from the scores and their logSumExp.
 *
 *   p[s] = e^(score[s] − logSumExp[t])      D = dy[t] · y[t]      ds[s] = p[s] · (dy[t] · v[s] − D)
 *   dq[t] = scale · Σ over s of ds[s] · k[s]
 *   dk[s] = scale · Σ over t and the heads of a group of ds[s] · q[t]      dv[s] = Σ of p[s] · dy[t]
 *
 * Flow: gradient of the output projection's input → packedAttentionGrad → rope, inverted → gradients of q, k, v.
 * Source: Dao et al. 2022, arXiv 2205.14135, appendix B.
 */
import type { Tensor } from "../tensor/tensor.ts";
import type { View } from "../tensor/view.ts";
import { describe, expect, liveRows, type Op, type Views } from "./op.ts";
import { checkPackedAttention, type PackedAttentionArgs } from "./packed-attention.ts";

export interface PackedAttentionGradArgs extends PackedAttentionArgs {
  /** [tokens, heads · headLength] F32 */
  readonly dy: Tensor;
  /** Shaped as q, k and v, overwritten. */
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
}

export const packedAttentionGrad: Op<PackedAttentionGradArgs> = {
  check(args) {
    checkPackedAttention("packedAttentionGrad", args);
    const { q, k, v, dy, dq, dk, dv } = args;
    const fits =
      dy.columns === q.columns &&
      dq.columns === q.columns &&
      dk.columns === k.columns &&
      dv.columns === v.columns;
    expect(fits, () => `packedAttentionGrad: dq is ${describe(dq)}, dk ${describe(dk)}, dv ${describe(dv)}`);
  },
  reference(args) {
    const { q, k, dq, dk, dv, logSumExp, starts, headLength, count } = args;
    const rows = liveRows(count);
    const group = q.columns / k.columns;
    const sums = { k: zeros(rows, k.columns), v: zeros(rows, k.columns) };
    for (let t = 0; t < rows; t++)
      for (let head = 0; head < logSumExp.columns; head++) {
        const from = head * headLength;
        const keyFrom = Math.floor(head / group) * headLength;
        const gradient = oneQuery(args, { t, head, from, keyFrom, first: starts.intRow(0)[t] }, sums);
        dq.row(t).set(gradient, from);
      }
    for (let t = 0; t < rows; t++) {
      dk.row(t).set(sums.k[t]);
      dv.row(t).set(sums.v[t]);
    }
  },
};

interface Query {
  readonly t: number;
  readonly head: number;
  /** Columns where the head begins in q and y, and in k and v. */
  readonly from: number;
  readonly keyFrom: number;
  /** The first row that it sees. */
  readonly first: number;
}

/** Adds what one query gives to the sums of keys and values; returns its own gradient, [headLength]. */
function oneQuery(
  { q, k, v, y, dy, logSumExp, headLength, scale }: Views<PackedAttentionGradArgs>,
  { t, head, from, keyFrom, first }: Query,
  sums: { readonly k: Float64Array[]; readonly v: Float64Array[] },
): Float64Array {
  const gradient = new Float64Array(headLength);
  const total = dot(dy, t, from, y, t, from, headLength);
  for (let s = first; s <= t; s++) {
    const score = scale * dot(q, t, from, k, s, keyFrom, headLength);
    const probability = Math.exp(score - logSumExp.row(t)[head]);
    const ds = probability * (dot(dy, t, from, v, s, keyFrom, headLength) - total);
    for (let c = 0; c < headLength; c++) {
      gradient[c] += scale * ds * k.row(s)[keyFrom + c];
      sums.k[s][keyFrom + c] += scale * ds * q.row(t)[from + c];
      sums.v[s][keyFrom + c] += probability * dy.row(t)[from + c];
    }
  }
  return gradient;
}

function dot(a: View, rowA: number, fromA: number, b: View, rowB: number, fromB: number, n: number): number {
  const [left, right] = [a.row(rowA), b.row(rowB)];
  let sum = 0;
  for (let c = 0; c < n; c++) sum += left[fromA + c] * right[fromB + c];
  return sum;
}

function zeros(rows: number, columns: number): Float64Array[] {
  return Array.from({ length: rows }, () => new Float64Array(columns));
}
