/**
 * Sums of a piece's values by the weights of a tile's queries (attention-tile.ts), lanes being channels. Four queries take
 * eight channels at a time, one or two sixteen; eight queries of quants four.
 *
 * `quants` and `size` are constants wherever these are inlined. Values of Q8_0 are summed as whole numbers: their block's
 * scales are multiplied into the weights before. Values of F16 come 2⁻¹¹² times too small (highBitsOf); their weights have
 * the power.
 */
import { BLOCK_BYTES, BLOCK_LENGTH, fourQuants, scaleOf } from "./cache-blocks";
import { firstFloats, highBitsOf, lastFloats, lowBitsOf, multiplyAdd } from "./numbers";

/** Some channels of the values: sums = factor · sums + Σ weight · value. `mask` is fourQuants' indices for quants, else highBitsOf's. */
@inline
export function addChannels(
  quants: bool,
  size: i32,
  factors: usize,
  sums: usize,
  weights: usize,
  values: usize,
  stride: usize,
  length: i32,
  channels: i32,
  mask: v128,
): void {
  const bytes = fourBytes(quants);
  let c = 0;
  if (size <= 2) {
    for (; c + 16 <= channels; c += 16) {
      addValuesBy4(quants, size, factors, sums, weights, values, stride, length, mask);
      sums += <usize>(size << 6);
      values += 4 * bytes;
    }
  } else if (size <= 4) {
    for (; c + 8 <= channels; c += 8) {
      addValuesBy2(quants, size, factors, sums, weights, values, stride, length, mask);
      sums += <usize>(size << 5);
      values += 2 * bytes;
    }
  } else if (!quants) {
    // Four queries twice: eight values are made of halves at once, and eight queries of them would need sixteen sums.
    for (; c + 8 <= channels; c += 8) {
      addValuesBy2(quants, 4, factors, sums, weights, values, stride, length, mask, 128);
      addValuesBy2(quants, 4, factors + 16, sums + 64, weights + 16, values, stride, length, mask, 128);
      sums += <usize>(size << 5);
      values += 2 * bytes;
    }
  }
  for (; c < channels; c += 4) {
    addValues(quants, size, factors, sums, weights, values, stride, length, mask);
    sums += <usize>(size << 4);
    values += bytes;
  }
}

/** The same for all channels of Q8_0; `scaled` has room for a copy of the weights. */
@inline
export function addQuantChannels(
  size: i32,
  factors: usize,
  sums: usize,
  weights: usize,
  scaled: usize,
  values: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  indices: v128,
  mask: v128,
  power: v128,
): void {
  for (let c = 0; c < headLength; c += BLOCK_LENGTH) {
    scaleWeights(size, weights, scaled, values, stride, length, mask, power);
    addChannels(true, size, factors, sums, scaled, values + 2, stride, length, BLOCK_LENGTH, indices);
    sums += <usize>(size * BLOCK_LENGTH) << 2;
    values += BLOCK_BYTES;
  }
}

/** Weights times the scales of the positions' blocks. */
@inline
function scaleWeights(
  size: i32,
  weights: usize,
  scaled: usize,
  block: usize,
  stride: usize,
  length: i32,
  mask: v128,
  power: v128,
): void {
  for (let p = 0; p < length; p++) {
    const scale = scaleOf(block, mask, power);
    v128.store(scaled, f32x4.mul(v128.load(weights), scale));
    if (size > 4) v128.store(scaled, f32x4.mul(v128.load(weights, 16), scale), 16);
    weights += 32;
    scaled += 32;
    block += stride;
  }
}

/** Bytes of four values. */
@inline
function fourBytes(quants: bool): usize {
  return quants ? 4 : 8;
}

@inline
function fourValues(quants: bool, at: usize, mask: v128): v128 {
  if (quants) return fourQuants(v128.load32_zero(at), mask);
  const halves = v128.load64_zero(at);
  return firstFloats(lowBitsOf(halves), highBitsOf(halves, mask));
}

/** sums = factor · sums + Σ weight · value for four channels of up to eight queries. */
@inline
function addValues(
  quants: bool,
  size: i32,
  factors: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
): void {
  let a0 = f32x4.mul(v128.load(sums, 0), v128.load32_splat(factors, 0));
  let a1 = size > 1 ? f32x4.mul(v128.load(sums, 16), v128.load32_splat(factors, 4)) : f32x4.splat(0);
  let a2 = size > 2 ? f32x4.mul(v128.load(sums, 32), v128.load32_splat(factors, 8)) : f32x4.splat(0);
  let a3 = size > 3 ? f32x4.mul(v128.load(sums, 48), v128.load32_splat(factors, 12)) : f32x4.splat(0);
  let a4 = size > 4 ? f32x4.mul(v128.load(sums, 64), v128.load32_splat(factors, 16)) : f32x4.splat(0);
  let a5 = size > 5 ? f32x4.mul(v128.load(sums, 80), v128.load32_splat(factors, 20)) : f32x4.splat(0);
  let a6 = size > 6 ? f32x4.mul(v128.load(sums, 96), v128.load32_splat(factors, 24)) : f32x4.splat(0);
  let a7 = size > 7 ? f32x4.mul(v128.load(sums, 112), v128.load32_splat(factors, 28)) : f32x4.splat(0);
  const end = weights + (<usize>length << 5);
  for (let w = weights; w < end; w += 32) {
    const v = fourValues(quants, value, mask);
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

/** The same for eight channels of three or four queries, whose sums are `step` bytes from one four to the next. */
@inline
function addValuesBy2(
  quants: bool,
  size: i32,
  factors: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
  step: usize = <usize>(size << 4),
): void {
  const f0 = v128.load32_splat(factors, 0);
  const f1 = v128.load32_splat(factors, 4);
  const f2 = v128.load32_splat(factors, 8);
  const f3 = v128.load32_splat(factors, 12);
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
    let v0: v128, v1: v128;
    if (quants) {
      v0 = fourQuants(v128.load32_zero(value), mask);
      v1 = fourQuants(v128.load32_zero(value, 4), mask);
    } else {
      const halves = v128.load(value), low = lowBitsOf(halves), high = highBitsOf(halves, mask);
      v0 = firstFloats(low, high);
      v1 = lastFloats(low, high);
    }
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
  quants: bool,
  size: i32,
  factors: usize,
  sums: usize,
  weights: usize,
  value: usize,
  stride: usize,
  length: i32,
  mask: v128,
): void {
  const step = <usize>(size << 4);
  const f0 = v128.load32_splat(factors, 0);
  const f1 = v128.load32_splat(factors, 4);
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
    let v0: v128, v1: v128, v2: v128, v3: v128;
    if (quants) {
      v0 = fourQuants(v128.load32_zero(value), mask);
      v1 = fourQuants(v128.load32_zero(value, 4), mask);
      v2 = fourQuants(v128.load32_zero(value, 8), mask);
      v3 = fourQuants(v128.load32_zero(value, 12), mask);
    } else {
      const halves = v128.load(value), low = lowBitsOf(halves), high = highBitsOf(halves, mask);
      v0 = firstFloats(low, high);
      v1 = lastFloats(low, high);
      const more = v128.load(value, 16), moreLow = lowBitsOf(more), moreHigh = highBitsOf(more, mask);
      v2 = firstFloats(moreLow, moreHigh);
      v3 = lastFloats(moreLow, moreHigh);
    }
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
