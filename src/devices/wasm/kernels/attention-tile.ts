/**
 * The inner loops of attention: a tile of 1 to 8 queries that use the same keys and values, over a piece of positions.
 * Lanes are channels in the products and queries in the softmax.
 *
 * A query's numbers come out the same to the bit in a tile of any size: each has its own lanes or its own accumulators,
 * and positions are added in ascending order.
 *
 * A tile in memory, each part with room for 8 queries:
 *
 *   0 largest score so far     32 sum of exponentials     64 first position seen     96 last position seen
 *   128 factors of the piece   160 queries, four channels of each in turn, then what was summed of the values likewise
 */
import { exponential, finiteHalves, multiplyAdd } from "./numbers";

/** Positions in a piece, at most. */
export const PIECE = 64;
/** Scores of a piece: 8 floats a position. */
export const SCORE_BYTES: usize = 64 * 32;

export const LARGEST: usize = 0;
export const SUM: usize = 32;
export const FIRST: usize = 64;
export const LAST: usize = 96;
const FACTORS: usize = 128;
export const QUERIES: usize = 160;

/** Bytes of a tile. */
@inline
export function tileBytes(headLength: i32): usize {
  return QUERIES + (<usize>headLength << 6);
}

/** Where a tile of `size` queries sums the values. */
@inline
export function sumsOf(tile: usize, headLength: i32): usize {
  return tile + QUERIES + (<usize>headLength << 5);
}

/**
 * One piece for a tile: scores, softmax, values. `size` is a constant wherever this is inlined.
 *
 * @param keys the first position's key of this key/value head; values likewise
 * @param position of the first key
 */
@inline
export function attendTile(
  size: i32,
  tile: usize,
  scores: usize,
  keys: usize,
  keyStride: usize,
  values: usize,
  valueStride: usize,
  position: i32,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
  power: v128,
): void {
  const q = tile + QUERIES;
  if (size > 4) scoresOf8(q, scores, keys, keyStride, length, headLength, scale, mask, power);
  else if (size > 2) scoresOf4(size, q, scores, keys, keyStride, length, headLength, scale, mask, power);
  else scoresOf2(size, q, scores, keys, keyStride, length, headLength, scale, mask, power);
  toWeights(tile, scores, position, length);
  if (size > 4) toWeights(tile + 16, scores + 16, position, length);
  const sums = sumsOf(tile, headLength);
  let c = 0;
  if (size <= 2) {
    for (; c + 16 <= headLength; c += 16)
      addValuesBy4(size, tile, sums + <usize>(c * size << 2), scores, values + (<usize>c << 1), valueStride, length, mask, power);
  } else if (size <= 4) {
    for (; c + 8 <= headLength; c += 8)
      addValuesBy2(size, tile, sums + <usize>(c * size << 2), scores, values + (<usize>c << 1), valueStride, length, mask, power);
  }
  for (; c < headLength; c += 4)
    addValues(size, tile, sums + <usize>(c * size << 2), scores, values + (<usize>c << 1), valueStride, length, mask, power);
}

/** [Σ a, Σ b, Σ c, Σ d] over lanes, each as (0 + 1) + (2 + 3). */
@inline
function sumsOfLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** scale · q · k of eight queries, a position at a time. */
@inline
function scoresOf8(
  q: usize,
  scores: usize,
  key: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  for (let p = 0; p < length; p++) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    let x = q;
    const end = key + (<usize>headLength << 1);
    for (let at = key; at < end; at += 8) {
      const k = finiteHalves(at, mask, power);
      a0 = multiplyAdd(v128.load(x, 0), k, a0);
      a1 = multiplyAdd(v128.load(x, 16), k, a1);
      a2 = multiplyAdd(v128.load(x, 32), k, a2);
      a3 = multiplyAdd(v128.load(x, 48), k, a3);
      a4 = multiplyAdd(v128.load(x, 64), k, a4);
      a5 = multiplyAdd(v128.load(x, 80), k, a5);
      a6 = multiplyAdd(v128.load(x, 96), k, a6);
      a7 = multiplyAdd(v128.load(x, 112), k, a7);
      x += 128;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(a0, a1, a2, a3), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(a4, a5, a6, a7), scales), 16);
    key += stride;
    scores += 32;
  }
}

/** The same for three or four queries, two positions at a time; beyond an odd last one it stands twice. */
@inline
function scoresOf4(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  const bytes = <usize>headLength << 1;
  for (let p = 0; p < length; p += 2) {
    const key = keys + <usize>p * stride;
    const next = keys + <usize>min(p + 1, length - 1) * stride;
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let x = q;
    for (let at: usize = 0; at < bytes; at += 8) {
      const k = finiteHalves(key + at, mask, power);
      const n = finiteHalves(next + at, mask, power);
      const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32);
      a0 = multiplyAdd(x0, k, a0);
      b0 = multiplyAdd(x0, n, b0);
      a1 = multiplyAdd(x1, k, a1);
      b1 = multiplyAdd(x1, n, b1);
      a2 = multiplyAdd(x2, k, a2);
      b2 = multiplyAdd(x2, n, b2);
      if (size > 3) {
        const x3 = v128.load(x, 48);
        a3 = multiplyAdd(x3, k, a3);
        b3 = multiplyAdd(x3, n, b3);
      }
      x += <usize>(size << 4);
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(a0, a1, a2, a3), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(b0, b1, b2, b3), scales), 32);
    scores += 64;
  }
}

/** The same for one or two queries, four positions at a time. */
@inline
function scoresOf2(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  const bytes = <usize>headLength << 1;
  for (let p = 0; p < length; p += 4) {
    const key0 = keys + <usize>p * stride;
    const key1 = keys + <usize>min(p + 1, length - 1) * stride;
    const key2 = keys + <usize>min(p + 2, length - 1) * stride;
    const key3 = keys + <usize>min(p + 3, length - 1) * stride;
    let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
    let x = q;
    for (let at: usize = 0; at < bytes; at += 8) {
      const k0 = finiteHalves(key0 + at, mask, power);
      const k1 = finiteHalves(key1 + at, mask, power);
      const k2 = finiteHalves(key2 + at, mask, power);
      const k3 = finiteHalves(key3 + at, mask, power);
      const x0 = v128.load(x);
      a0 = multiplyAdd(x0, k0, a0);
      b0 = multiplyAdd(x0, k1, b0);
      c0 = multiplyAdd(x0, k2, c0);
      d0 = multiplyAdd(x0, k3, d0);
      if (size > 1) {
        const x1 = v128.load(x, 16);
        a1 = multiplyAdd(x1, k0, a1);
        b1 = multiplyAdd(x1, k1, b1);
        c1 = multiplyAdd(x1, k2, c1);
        d1 = multiplyAdd(x1, k3, d1);
      }
      x += <usize>(size << 4);
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(a0, a1, zero, zero), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(b0, b1, zero, zero), scales), 32);
    v128.store(scores, f32x4.mul(sumsOfLanes(c0, c1, zero, zero), scales), 64);
    v128.store(scores, f32x4.mul(sumsOfLanes(d0, d1, zero, zero), scales), 96);
    scores += 128;
  }
}

/**
 * Turns the scores of four queries into e^(score − largest), 0 at positions that a query does not see, and leaves the
 * factor that brings what came before to the same largest score.
 */
function toWeights(tile: usize, scores: usize, position: i32, length: i32): void {
  const before = v128.load(tile, LARGEST);
  const end = scores + (<usize>length << 5);
  const firsts = v128.load(tile, FIRST);
  const lasts = v128.load(tile, LAST);
  const last = position + length - 1;
  const hidden = v128.or(i32x4.gt_s(firsts, i32x4.splat(position)), i32x4.lt_s(lasts, i32x4.splat(last)));
  if (v128.any_true(hidden)) {
    let at = scores;
    for (let p = position; p <= last; p++) {
      const positions = i32x4.splat(p);
      const unseen = v128.or(i32x4.gt_s(firsts, positions), i32x4.lt_s(lasts, positions));
      v128.store(at, v128.bitselect(f32x4.splat(-Infinity), v128.load(at), unseen));
      at += 32;
    }
  }
  let largest = before;
  for (let at = scores; at < end; at += 32) largest = f32x4.max(largest, v128.load(at));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 32) {
    const e = exponential(f32x4.sub(v128.load(at), largest));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
  }
  const factor = exponential(f32x4.sub(before, largest));
  v128.store(tile, largest, LARGEST);
  v128.store(tile, f32x4.add(f32x4.mul(v128.load(tile, SUM), factor), sum), SUM);
  v128.store(tile, factor, FACTORS);
}

/** sums = factor · sums + Σ weight · value for four channels of up to eight queries. */
@inline
function addValues(
  size: i32,
  tile: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
  power: v128,
): void {
  let a0 = f32x4.mul(v128.load(sums, 0), v128.load32_splat(tile, FACTORS + 0));
  let a1 = size > 1 ? f32x4.mul(v128.load(sums, 16), v128.load32_splat(tile, FACTORS + 4)) : f32x4.splat(0);
  let a2 = size > 2 ? f32x4.mul(v128.load(sums, 32), v128.load32_splat(tile, FACTORS + 8)) : f32x4.splat(0);
  let a3 = size > 3 ? f32x4.mul(v128.load(sums, 48), v128.load32_splat(tile, FACTORS + 12)) : f32x4.splat(0);
  let a4 = size > 4 ? f32x4.mul(v128.load(sums, 64), v128.load32_splat(tile, FACTORS + 16)) : f32x4.splat(0);
  let a5 = size > 5 ? f32x4.mul(v128.load(sums, 80), v128.load32_splat(tile, FACTORS + 20)) : f32x4.splat(0);
  let a6 = size > 6 ? f32x4.mul(v128.load(sums, 96), v128.load32_splat(tile, FACTORS + 24)) : f32x4.splat(0);
  let a7 = size > 7 ? f32x4.mul(v128.load(sums, 112), v128.load32_splat(tile, FACTORS + 28)) : f32x4.splat(0);
  const end = weights + (<usize>length << 5);
  for (let w = weights; w < end; w += 32) {
    const v = finiteHalves(value, mask, power);
    a0 = multiplyAdd(v128.load32_splat(w, 0), v, a0);
    if (size > 1) a1 = multiplyAdd(v128.load32_splat(w, 4), v, a1);
    if (size > 2) a2 = multiplyAdd(v128.load32_splat(w, 8), v, a2);
    if (size > 3) a3 = multiplyAdd(v128.load32_splat(w, 12), v, a3);
    if (size > 4) a4 = multiplyAdd(v128.load32_splat(w, 16), v, a4);
    if (size > 5) a5 = multiplyAdd(v128.load32_splat(w, 20), v, a5);
    if (size > 6) a6 = multiplyAdd(v128.load32_splat(w, 24), v, a6);
    if (size > 7) a7 = multiplyAdd(v128.load32_splat(w, 28), v, a7);
    value += stride;
  }
  v128.store(sums, a0, 0);
  if (size > 1) v128.store(sums, a1, 16);
  if (size > 2) v128.store(sums, a2, 32);
  if (size > 3) v128.store(sums, a3, 48);
  if (size > 4) v128.store(sums, a4, 64);
  if (size > 5) v128.store(sums, a5, 80);
  if (size > 6) v128.store(sums, a6, 96);
  if (size > 7) v128.store(sums, a7, 112);
}

/** The same for eight channels of three or four queries. */
@inline
function addValuesBy2(
  size: i32,
  tile: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
  power: v128,
): void {
  const step = <usize>(size << 4);
  const f0 = v128.load32_splat(tile, FACTORS + 0);
  const f1 = v128.load32_splat(tile, FACTORS + 4);
  const f2 = v128.load32_splat(tile, FACTORS + 8);
  const f3 = v128.load32_splat(tile, FACTORS + 12);
  let a0 = f32x4.mul(v128.load(sums, 0), f0);
  let a1 = f32x4.mul(v128.load(sums, 16), f1);
  let a2 = f32x4.mul(v128.load(sums, 32), f2);
  let a3 = size > 3 ? f32x4.mul(v128.load(sums, 48), f3) : f32x4.splat(0);
  let b0 = f32x4.mul(v128.load(sums + step, 0), f0);
  let b1 = f32x4.mul(v128.load(sums + step, 16), f1);
  let b2 = f32x4.mul(v128.load(sums + step, 32), f2);
  let b3 = size > 3 ? f32x4.mul(v128.load(sums + step, 48), f3) : f32x4.splat(0);
  const end = weights + (<usize>length << 5);
  for (let w = weights; w < end; w += 32) {
    const v0 = finiteHalves(value, mask, power);
    const v1 = finiteHalves(value + 8, mask, power);
    const w0 = v128.load32_splat(w);
    a0 = multiplyAdd(w0, v0, a0);
    b0 = multiplyAdd(w0, v1, b0);
    const w1 = v128.load32_splat(w, 4);
    a1 = multiplyAdd(w1, v0, a1);
    b1 = multiplyAdd(w1, v1, b1);
    const w2 = v128.load32_splat(w, 8);
    a2 = multiplyAdd(w2, v0, a2);
    b2 = multiplyAdd(w2, v1, b2);
    if (size > 3) {
      const w3 = v128.load32_splat(w, 12);
      a3 = multiplyAdd(w3, v0, a3);
      b3 = multiplyAdd(w3, v1, b3);
    }
    value += stride;
  }
  v128.store(sums, a0, 0);
  v128.store(sums, a1, 16);
  v128.store(sums, a2, 32);
  if (size > 3) v128.store(sums, a3, 48);
  v128.store(sums + step, b0, 0);
  v128.store(sums + step, b1, 16);
  v128.store(sums + step, b2, 32);
  if (size > 3) v128.store(sums + step, b3, 48);
}

/** The same for sixteen channels of one or two queries. */
@inline
function addValuesBy4(
  size: i32,
  tile: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
  power: v128,
): void {
  const step = <usize>(size << 4);
  const f0 = v128.load32_splat(tile, FACTORS + 0);
  const f1 = v128.load32_splat(tile, FACTORS + 4);
  let a0 = f32x4.mul(v128.load(sums, 0), f0);
  let a1 = size > 1 ? f32x4.mul(v128.load(sums, 16), f1) : f32x4.splat(0);
  let b0 = f32x4.mul(v128.load(sums + step, 0), f0);
  let b1 = size > 1 ? f32x4.mul(v128.load(sums + step, 16), f1) : f32x4.splat(0);
  let c0 = f32x4.mul(v128.load(sums + 2 * step, 0), f0);
  let c1 = size > 1 ? f32x4.mul(v128.load(sums + 2 * step, 16), f1) : f32x4.splat(0);
  let d0 = f32x4.mul(v128.load(sums + 3 * step, 0), f0);
  let d1 = size > 1 ? f32x4.mul(v128.load(sums + 3 * step, 16), f1) : f32x4.splat(0);
  const end = weights + (<usize>length << 5);
  for (let w = weights; w < end; w += 32) {
    const v0 = finiteHalves(value, mask, power);
    const v1 = finiteHalves(value + 8, mask, power);
    const v2 = finiteHalves(value + 16, mask, power);
    const v3 = finiteHalves(value + 24, mask, power);
    const w0 = v128.load32_splat(w);
    a0 = multiplyAdd(w0, v0, a0);
    b0 = multiplyAdd(w0, v1, b0);
    c0 = multiplyAdd(w0, v2, c0);
    d0 = multiplyAdd(w0, v3, d0);
    if (size > 1) {
      const w1 = v128.load32_splat(w, 4);
      a1 = multiplyAdd(w1, v0, a1);
      b1 = multiplyAdd(w1, v1, b1);
      c1 = multiplyAdd(w1, v2, c1);
      d1 = multiplyAdd(w1, v3, d1);
    }
    value += stride;
  }
  v128.store(sums, a0, 0);
  if (size > 1) v128.store(sums, a1, 16);
  v128.store(sums + step, b0, 0);
  if (size > 1) v128.store(sums + step, b1, 16);
  v128.store(sums + 2 * step, c0, 0);
  if (size > 1) v128.store(sums + 2 * step, c1, 16);
  v128.store(sums + 3 * step, d0, 0);
  if (size > 1) v128.store(sums + 3 * step, d1, 16);
}
