/**
 * Scores of a piece of positions: scale · q · k of the queries of a tile (attention-tile.ts), lanes being channels.
 *
 * Queries are four channels of each in turn. Scores are 8 floats a position. A tile of many queries goes through one
 * position at a time, one of few through several, so that there are always eight sums at work. Keys of F16 are multiplied
 * as they come; those of Q8_0 as whole numbers, block by block, and what a block sums to with the block's scale.
 */
import { BLOCK_BYTES, BLOCK_LENGTH, fourQuants, scaleOf } from "./cache-blocks";
import { finiteHalves, multiplyAdd } from "./numbers";

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

// Keys of Q8_0. `indices` are those of `fourQuants`; `power` is QUANT_POWER.

/** Eight queries, a position at a time. */
@inline
export function quantScoresOf8(
  q: usize,
  scores: usize,
  key: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  indices: v128,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  for (let p = 0; p < length; p++) {
    let s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero;
    let x = q;
    let at = key;
    for (let c = 0; c < headLength; c += BLOCK_LENGTH) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero, a6 = zero, a7 = zero;
      const end = at + BLOCK_BYTES;
      for (let quants = at + 2; quants < end; quants += 4) {
        const k = fourQuants(quants, indices);
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
      const d = scaleOf(at, mask, power);
      s0 = multiplyAdd(a0, d, s0);
      s1 = multiplyAdd(a1, d, s1);
      s2 = multiplyAdd(a2, d, s2);
      s3 = multiplyAdd(a3, d, s3);
      s4 = multiplyAdd(a4, d, s4);
      s5 = multiplyAdd(a5, d, s5);
      s6 = multiplyAdd(a6, d, s6);
      s7 = multiplyAdd(a7, d, s7);
      at = end;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(s0, s1, s2, s3), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(s4, s5, s6, s7), scales), 16);
    key += stride;
    scores += 32;
  }
}

/** Three or four queries, two positions at a time; beyond an odd last one it stands twice. */
@inline
export function quantScoresOf4(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  indices: v128,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  for (let p = 0; p < length; p += 2) {
    let key = keys + <usize>p * stride;
    let next = keys + <usize>min(p + 1, length - 1) * stride;
    let s0 = zero, s1 = zero, s2 = zero, s3 = zero, t0 = zero, t1 = zero, t2 = zero, t3 = zero;
    let x = q;
    for (let c = 0; c < headLength; c += BLOCK_LENGTH) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      for (let at: usize = 2; at < BLOCK_BYTES; at += 4) {
        const k = fourQuants(key + at, indices);
        const n = fourQuants(next + at, indices);
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
      const d = scaleOf(key, mask, power);
      const e = scaleOf(next, mask, power);
      s0 = multiplyAdd(a0, d, s0);
      s1 = multiplyAdd(a1, d, s1);
      s2 = multiplyAdd(a2, d, s2);
      if (size > 3) s3 = multiplyAdd(a3, d, s3);
      t0 = multiplyAdd(b0, e, t0);
      t1 = multiplyAdd(b1, e, t1);
      t2 = multiplyAdd(b2, e, t2);
      if (size > 3) t3 = multiplyAdd(b3, e, t3);
      key += BLOCK_BYTES;
      next += BLOCK_BYTES;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(s0, s1, s2, s3), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(t0, t1, t2, t3), scales), 32);
    scores += 64;
  }
}

/** One or two queries, four positions at a time. */
@inline
export function quantScoresOf2(
  size: i32,
  q: usize,
  scores: usize,
  keys: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  scale: f32,
  indices: v128,
  mask: v128,
  power: v128,
): void {
  const scales = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  for (let p = 0; p < length; p += 4) {
    let key0 = keys + <usize>p * stride;
    let key1 = keys + <usize>min(p + 1, length - 1) * stride;
    let key2 = keys + <usize>min(p + 2, length - 1) * stride;
    let key3 = keys + <usize>min(p + 3, length - 1) * stride;
    let s0 = zero, s1 = zero, t0 = zero, t1 = zero, u0 = zero, u1 = zero, v0 = zero, v1 = zero;
    let x = q;
    for (let block = 0; block < headLength; block += BLOCK_LENGTH) {
      let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
      for (let at: usize = 2; at < BLOCK_BYTES; at += 4) {
        const k0 = fourQuants(key0 + at, indices);
        const k1 = fourQuants(key1 + at, indices);
        const k2 = fourQuants(key2 + at, indices);
        const k3 = fourQuants(key3 + at, indices);
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
      const scale0 = scaleOf(key0, mask, power), scale1 = scaleOf(key1, mask, power);
      const scale2 = scaleOf(key2, mask, power), scale3 = scaleOf(key3, mask, power);
      s0 = multiplyAdd(a0, scale0, s0);
      t0 = multiplyAdd(b0, scale1, t0);
      u0 = multiplyAdd(c0, scale2, u0);
      v0 = multiplyAdd(d0, scale3, v0);
      if (size > 1) {
        s1 = multiplyAdd(a1, scale0, s1);
        t1 = multiplyAdd(b1, scale1, t1);
        u1 = multiplyAdd(c1, scale2, u1);
        v1 = multiplyAdd(d1, scale3, v1);
      }
      key0 += BLOCK_BYTES;
      key1 += BLOCK_BYTES;
      key2 += BLOCK_BYTES;
      key3 += BLOCK_BYTES;
    }
    v128.store(scores, f32x4.mul(sumsOfLanes(s0, s1, zero, zero), scales));
    v128.store(scores, f32x4.mul(sumsOfLanes(t0, t1, zero, zero), scales), 32);
    v128.store(scores, f32x4.mul(sumsOfLanes(u0, u1, zero, zero), scales), 64);
    v128.store(scores, f32x4.mul(sumsOfLanes(v0, v1, zero, zero), scales), 96);
    scores += 128;
  }
}
