/**
 * Activations as int8 blocks of 32 (ops/activations.ts), in the record that the products read:
 *
 *   32 int8, f32 scale, then for each half of the block
 *     i32 −bias · Σ q         for weights whose quants were made unsigned by a bias, or
 *     f32 scale · Σ q         for weights with offsets
 *
 * Where one scale of the weights serves all 32 columns, the first half's word stands for both halves. At last the same
 * sum with a bias in two parts of 16 bits, as a vector of pairs' sums has it: of the columns 0 and 1 in every four, and
 * of 2 and 3.
 *
 * Several rows for a product of 16-bit integers (multiply-wide.ts) have a record of 32 int16 and the scale instead.
 *
 * Threads share the blocks of all rows. Words: x, stride, records, stride, count, columns, bias, short groups, whether
 * several rows become 16-bit integers.
 */
import { address, integer, shareFirst } from "./call";
import { FEW_ROWS, RECORD_BYTES, WIDE_RECORD_BYTES } from "./codes";
import { largestLane } from "./numbers";

/** Where the parts of a block's record are. */
export const RECORD_SCALE: usize = 32;
export const RECORD_SUM: usize = 36;
export const RECORD_SECOND_SUM: usize = 40;
export const RECORD_PAIRS: usize = 44;

/** In a block of magnitudes below 2⁻¹²¹ all quants are 0: 127 / d would be infinite. */
const SMALLEST_BLOCK: f32 = 3.76158192e-37;

/** Where the scale of a record of int16 is. */
export const WIDE_RECORD_SCALE: usize = 64;

export function quantizeActivations(call: usize, thread: i32, threadCount: i32): void {
  const blocks = integer(call, 6) >> 5;
  const bias = integer(call, 7);
  const shortGroups = integer(call, 8) != 0;
  const count = load<i32>(address(call, 5));
  const wide = integer(call, 9) != 0 && count > FEW_ROWS;
  const items = count * blocks;
  const last = shareFirst(items, thread + 1, threadCount);
  for (let item = shareFirst(items, thread, threadCount); item < last; item++) {
    const row = <usize>(item / blocks);
    const block = <usize>(item % blocks);
    const x = address(call, 1) + row * address(call, 2) + (block << 7);
    const records = address(call, 3) + row * address(call, 4);
    if (wide) quantizeWideBlock(x, records + block * WIDE_RECORD_BYTES);
    else quantizeBlock(x, records + block * RECORD_BYTES, bias, shortGroups);
  }
}

function quantizeWideBlock(x: usize, record: usize): void {
  const largest = largestOfBlock(x);
  const factors = f32x4.splat(largest < SMALLEST_BLOCK ? 0 : 127 / largest);
  for (let c: usize = 0; c < 32; c += 8)
    v128.store(record + 2 * c, i16x8.narrow_i32x4_s(rounded(x + 4 * c, factors), rounded(x + 4 * c + 16, factors)));
  store<f32>(record, largest / 127, WIDE_RECORD_SCALE);
}

/**
 * The largest magnitude of 32 values. Magnitudes compare as their bits do, in one instruction for several; a NaN, which is
 * larger than all, comes through.
 */
@inline
function largestOfBlock(x: usize): f32 {
  let lanes = i32x4.splat(0);
  for (let at: usize = 0; at < 128; at += 16) lanes = i32x4.max_s(lanes, f32x4.abs(v128.load(x + at)));
  return largestLane(lanes);
}

/** Four values times the factors, as integers: to nearest, ties to even. NaN and infinity become anything: so is the scale then. */
@inline
function rounded(x: usize, factors: v128): v128 {
  const nearest = f32x4.nearest(f32x4.mul(v128.load(x), factors));
  return ASC_FEATURE_RELAXED_SIMD ? i32x4.relaxed_trunc_f32x4_s(nearest) : i32x4.trunc_sat_f32x4_s(nearest);
}

function quantizeBlock(x: usize, record: usize, bias: i32, shortGroups: bool): void {
  const largest = largestOfBlock(x);
  const inverse: f32 = largest < SMALLEST_BLOCK ? 0 : 127 / largest;
  const scale: f32 = largest / 127;
  const first = quantizeHalf(x, record, inverse);
  const second = quantizeHalf(x + 64, record + 16, inverse);
  store<f32>(record, scale, RECORD_SCALE);
  storeSum(record + RECORD_SUM, shortGroups ? first : first + second, scale, bias);
  storeSum(record + RECORD_SECOND_SUM, second, scale, bias);
  const sums = pairsOf(record);
  store<i16>(record, -bias * i32x4.extract_lane(sums, 0), RECORD_PAIRS);
  store<i16>(record, -bias * i32x4.extract_lane(sums, 1), RECORD_PAIRS + 2);
}

/** The sums of columns 0 and 1 in every four of a record, and of 2 and 3, as the first two of four integers. */
@inline
function pairsOf(record: usize): v128 {
  const pairs = i16x8.add(
    i16x8.extadd_pairwise_i8x16_s(v128.load(record)),
    i16x8.extadd_pairwise_i8x16_s(v128.load(record, 16)),
  );
  const halves = i32x4.add(i32x4.extend_low_i16x8_s(pairs), i32x4.extend_high_i16x8_s(pairs));
  return i32x4.add(halves, v128.shuffle<i32>(halves, halves, 2, 3, 0, 1));
}

/** 16 values to int8, rounded to nearest even; returns their sum. */
@inline
function quantizeHalf(x: usize, y: usize, inverse: f32): i32 {
  const factors = f32x4.splat(inverse);
  const a = rounded(x, factors);
  const b = rounded(x + 16, factors);
  const c = rounded(x + 32, factors);
  const d = rounded(x + 48, factors);
  v128.store(y, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
  const sums = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
  return (
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  );
}

@inline
function storeSum(at: usize, sum: i32, scale: f32, bias: i32): void {
  if (bias != 0) store<i32>(at, -bias * sum);
  else store<f32>(at, scale * <f32>sum);
}
