/**
 * Scores of a piece of positions: scale · q · k of the queries of a tile (attention-tile.ts), lanes being channels.
 * Scores are 8 floats a position.
 *
 * Keys of F16 become floats, eight channels at a time; queries are four channels of each in turn. So the products stand twice
 * in each loop: an inlined function of AssemblyScript gives one value, not eight sums. A tile of many queries goes through
 * one position at a time, one of few through several, so that there are always eight sums at work.
 *
 * Keys of Q8_0 stay whole numbers, and queries are rounded to 16 bits: their products of a block are summed exactly,
 * eight at a time, then multiplied by the block's scale.
 */
import { BLOCK_BYTES, BLOCK_LENGTH, scaleOf } from "./cache-blocks";
import { firstFloats, highBitsOf, largestLane, lastFloats, lowBitsOf, multiplyAdd } from "./numbers";

/** [Σ a, Σ b, Σ c, Σ d] over lanes, each as (0 + 1) + (2 + 3). */
@inline
function sumsOfLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** Eight queries over keys of F16, a position at a time. */
@inline
export function scoresOf8(
  q: usize,
  scores: usize,
  key: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
): void {
  const scales = f32x4.splat(scale);
  const bytes = pairedBytes(headLength);
  for (let p = 0; p < length; p++) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    let x = q;
    const end = key + bytes;
    for (let at = key; at < end; at += 16) {
      const halves = v128.load(at), low = lowBitsOf(halves), high = highBitsOf(halves, mask);
      const k = firstFloats(low, high);
      a0 = multiplyAdd(v128.load(x, 0), k, a0);
      a1 = multiplyAdd(v128.load(x, 16), k, a1);
      a2 = multiplyAdd(v128.load(x, 32), k, a2);
      a3 = multiplyAdd(v128.load(x, 48), k, a3);
      a4 = multiplyAdd(v128.load(x, 64), k, a4);
      a5 = multiplyAdd(v128.load(x, 80), k, a5);
      a6 = multiplyAdd(v128.load(x, 96), k, a6);
      a7 = multiplyAdd(v128.load(x, 112), k, a7);
      const n = lastFloats(low, high);
      a0 = multiplyAdd(v128.load(x, 128), n, a0);
      a1 = multiplyAdd(v128.load(x, 144), n, a1);
      a2 = multiplyAdd(v128.load(x, 160), n, a2);
      a3 = multiplyAdd(v128.load(x, 176), n, a3);
      a4 = multiplyAdd(v128.load(x, 192), n, a4);
      a5 = multiplyAdd(v128.load(x, 208), n, a5);
      a6 = multiplyAdd(v128.load(x, 224), n, a6);
      a7 = multiplyAdd(v128.load(x, 240), n, a7);
      x += 256;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(a0, a1, a2, a3), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(a4, a5, a6, a7), scales), 16);
    key += stride;
    scores += 32;
  }
}

/** The same for three or four queries, two positions at a time; beyond an odd last one it stands twice. */
@inline
export function scoresOf4(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
): void {
  const scales = f32x4.splat(scale);
  const bytes = pairedBytes(headLength);
  for (let p = 0; p < length; p += 2) {
    const key = keys + <usize>p * stride;
    const next = keys + <usize>min(p + 1, length - 1) * stride;
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let x = q;
    for (let at: usize = 0; at < bytes; at += 16) {
      const halves = v128.load(key + at), low = lowBitsOf(halves), high = highBitsOf(halves, mask);
      const others = v128.load(next + at), othersLow = lowBitsOf(others), othersHigh = highBitsOf(others, mask);
      let k = firstFloats(low, high);
      let n = firstFloats(othersLow, othersHigh);
      let x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32);
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
      k = lastFloats(low, high);
      n = lastFloats(othersLow, othersHigh);
      x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32);
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
export function scoresOf2(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
): void {
  const scales = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  const bytes = pairedBytes(headLength);
  for (let p = 0; p < length; p += 4) {
    const key0 = keys + <usize>p * stride;
    const key1 = keys + <usize>min(p + 1, length - 1) * stride;
    const key2 = keys + <usize>min(p + 2, length - 1) * stride;
    const key3 = keys + <usize>min(p + 3, length - 1) * stride;
    let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
    let x = q;
    for (let at: usize = 0; at < bytes; at += 16) {
      const halves0 = v128.load(key0 + at), low0 = lowBitsOf(halves0), high0 = highBitsOf(halves0, mask);
      const halves1 = v128.load(key1 + at), low1 = lowBitsOf(halves1), high1 = highBitsOf(halves1, mask);
      const halves2 = v128.load(key2 + at), low2 = lowBitsOf(halves2), high2 = highBitsOf(halves2, mask);
      const halves3 = v128.load(key3 + at), low3 = lowBitsOf(halves3), high3 = highBitsOf(halves3, mask);
      let k0 = firstFloats(low0, high0);
      let k1 = firstFloats(low1, high1);
      let k2 = firstFloats(low2, high2);
      let k3 = firstFloats(low3, high3);
      let x0 = v128.load(x);
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
      k0 = lastFloats(low0, high0);
      k1 = lastFloats(low1, high1);
      k2 = lastFloats(low2, high2);
      k3 = lastFloats(low3, high3);
      x0 = v128.load(x);
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

/** Bytes of the channels of F16 that come in eights. */
@inline
function pairedBytes(headLength: i32): usize {
  return <usize>(headLength & ~7) << 1;
}

/** Adds the four channels that the loops above leave where the head length is no multiple of eight: 12, say. */
export function addOddScores(
  size: i32,
  q: usize,
  scores: usize,
  key: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  mask: v128,
): void {
  const zero = f32x4.splat(0);
  const paired = headLength & ~7;
  const x = q + <usize>(paired * size << 2);
  for (let p = 0; p < length; p++) {
    const halves = v128.load64_zero(key + (<usize>paired << 1));
    const k = firstFloats(lowBitsOf(halves), highBitsOf(halves, mask));
    for (let query: usize = 0; query < <usize>size; query++) {
      const product = f32x4.mul(v128.load(x + (query << 4)), k);
      const at = scores + (query << 2);
      const sum = f32x4.extract_lane(sumsOfLanes(product, zero, zero, zero), 0);
      store<f32>(at, load<f32>(at) + sum * scale);
    }
    key += stride;
    scores += 32;
  }
}

// Keys of Q8_0: queries are whole numbers of 16 bits, one query after the other, then a scale for each.

/** A query of magnitudes below 2⁻¹¹³ counts as 0: 32767 / d would be infinite. */
const SMALLEST_QUERY: f32 = 9.62964972e-35;

/** Places a query of up to 8 among the others: x = round(q / d), d = max |q| / 32767. Its scale is d · scale. */
export function placeRounded(q: usize, queries: usize, lane: usize, headLength: i32, scale: f32): void {
  const bytes = <usize>headLength << 2;
  let lanes = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(q + at)));
  const largest = largestLane(lanes);
  const factors = f32x4.splat(largest < SMALLEST_QUERY ? 0 : 32767 / largest);
  const to = queries + ((lane * <usize>headLength) << 1);
  for (let at: usize = 0; at < bytes; at += 32) {
    const low = f32x4.nearest(f32x4.mul(v128.load(q + at), factors));
    const high = f32x4.nearest(f32x4.mul(v128.load(q + at, 16), factors));
    v128.store(to + (at >> 1), i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high)));
  }
  store<f32>(scalesOf(queries, headLength) + (lane << 2), (largest / 32767) * scale);
}

@inline
function scalesOf(queries: usize, headLength: i32): usize {
  return queries + (<usize>headLength << 4);
}

/** Up to eight queries, a position at a time. */
@inline
export function quantScores(
  size: i32,
  q: usize,
  scores: usize,
  key: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  mask: v128,
  power: v128,
): void {
  const zero = f32x4.splat(0);
  const bytes = <usize>headLength << 1;
  const scales = scalesOf(q, headLength);
  for (let p = 0; p < length; p++) {
    let s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero;
    let at = key;
    let x = q;
    for (let c = 0; c < headLength; c += BLOCK_LENGTH) {
      const d = scaleOf(at, mask, power);
      const k0 = v128.load8x8_s(at, 2), k1 = v128.load8x8_s(at, 10);
      const k2 = v128.load8x8_s(at, 18), k3 = v128.load8x8_s(at, 26);
      s0 = multiplyAdd(blockProduct(x, k0, k1, k2, k3), d, s0);
      if (size > 1) s1 = multiplyAdd(blockProduct(x + bytes, k0, k1, k2, k3), d, s1);
      if (size > 2) s2 = multiplyAdd(blockProduct(x + 2 * bytes, k0, k1, k2, k3), d, s2);
      if (size > 3) s3 = multiplyAdd(blockProduct(x + 3 * bytes, k0, k1, k2, k3), d, s3);
      if (size > 4) {
        s4 = multiplyAdd(blockProduct(x + 4 * bytes, k0, k1, k2, k3), d, s4);
        s5 = multiplyAdd(blockProduct(x + 5 * bytes, k0, k1, k2, k3), d, s5);
        s6 = multiplyAdd(blockProduct(x + 6 * bytes, k0, k1, k2, k3), d, s6);
        s7 = multiplyAdd(blockProduct(x + 7 * bytes, k0, k1, k2, k3), d, s7);
      }
      at += BLOCK_BYTES;
      x += BLOCK_LENGTH << 1;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(s0, s1, s2, s3), v128.load(scales)));
    if (size > 4) v128.store(scores, f32x4.mul(sumsOfLanes(s4, s5, s6, s7), v128.load(scales, 16)), 16);
    key += stride;
    scores += 32;
  }
}

/** What 32 channels of a query at x and of a key sum to, in four parts. */
@inline
function blockProduct(x: usize, k0: v128, k1: v128, k2: v128, k3: v128): v128 {
  const low = i32x4.add(i32x4.dot_i16x8_s(v128.load(x), k0), i32x4.dot_i16x8_s(v128.load(x, 16), k1));
  const high = i32x4.add(i32x4.dot_i16x8_s(v128.load(x, 32), k2), i32x4.dot_i16x8_s(v128.load(x, 48), k3));
  return f32x4.convert_i32x4_s(i32x4.add(low, high));
}
