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
 *   128 factors of the piece   160 queries (attention-scores.ts), then what was summed of the values, four channels of
 *   each query in turn
 */
import { addOddScores, quantScores, scoresOf2, scoresOf4, scoresOf8 } from "./attention-scores";
import { addChannels, addQuantChannels } from "./attention-values";
import { quantPower, topBytes } from "./cache-blocks";
import { exponentialFrom, leastExponent, ones } from "./numbers";

/** Positions in a piece, at most. */
export const PIECE = 64;
/** 8 floats a position. */
const PIECE_BYTES: usize = 64 * 32;
/** Scores of a piece, then room for them times the scales of a block of values. */
export const SCORE_BYTES: usize = 2 * PIECE_BYTES;

export const LARGEST: usize = 0;
export const SUM: usize = 32;
export const FIRST: usize = 64;
export const LAST: usize = 96;
const FACTORS: usize = 128;
export const QUERIES: usize = 160;

/**
 * Keys of F16 come 2⁻¹¹² times too small (highBitsOf). Queries have most of that power, and their scores the rest: with
 * all of it a query of 2¹⁶ would be infinite.
 */
const QUERY_POWER: f32 = 1.2676506e30;
const SCORE_POWER: f32 = 4096;

/** Four channels of a query, as they are multiplied with keys of F16. */
@inline
export function placed(channels: v128): v128 {
  return f32x4.mul(channels, f32x4.splat(QUERY_POWER));
}

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
  highMask: v128,
  power: v128,
  quantKeys: bool,
  quantValues: bool,
): void {
  const q = tile + QUERIES;
  if (quantKeys) quantScores(size, q, scores, keys, keyStride, length, headLength, mask, power);
  else {
    const factor = scale * SCORE_POWER;
    if (size > 4) scoresOf8(q, scores, keys, keyStride, length, headLength, factor, highMask);
    else if (size > 2) scoresOf4(size, q, scores, keys, keyStride, length, headLength, factor, highMask);
    else scoresOf2(size, q, scores, keys, keyStride, length, headLength, factor, highMask);
    if (headLength & 4) addOddScores(size, q, scores, keys, keyStride, length, headLength, factor, highMask);
  }
  const weightPower = quantValues ? ones() : power;
  toWeights(tile, scores, position, length, weightPower);
  if (size > 4) toWeights(tile + 16, scores + 16, position, length, weightPower);
  const sums = sumsOf(tile, headLength);
  const factors = tile + FACTORS;
  if (quantValues) {
    const scaled = scores + PIECE_BYTES;
    const indices = topBytes();
    addQuantChannels(size, factors, sums, scores, scaled, values, valueStride, length, headLength, indices, mask, quantPower());
  } else addChannels(false, size, factors, sums, scores, values, valueStride, length, headLength, highMask);
}

/**
 * Turns the scores of four queries into e^(score − largest), 0 below e⁻⁴⁰ and at positions that a query does not see, and leaves the
 * factor that brings what came before to the same largest score. The weights that are left have `power` as a factor.
 */
function toWeights(tile: usize, scores: usize, position: i32, length: i32, power: v128): void {
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
  // A pseudo-maximum is one instruction, a maximum several, one after the other. A NaN comes through in the sum.
  let largest = before;
  for (let at = scores; at < end; at += 32) largest = f32x4.pmax(largest, v128.load(at));
  // Smaller weights would be subnormal times the scales of quants, and products with those take a hundred cycles.
  const least = leastExponent();
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 32) {
    const e = exponentialFrom(f32x4.sub(v128.load(at), largest), least);
    v128.store(at, f32x4.mul(e, power));
    sum = f32x4.add(sum, e);
  }
  const factor = exponentialFrom(f32x4.sub(before, largest), least);
  v128.store(tile, largest, LARGEST);
  v128.store(tile, f32x4.add(f32x4.mul(v128.load(tile, SUM), factor), sum), SUM);
  v128.store(tile, factor, FACTORS);
}
