/**
 * Activations as int8 blocks of 32 (ops/activations.ts), in the record that the products read:
 *
 *   32 int8, f32 scale, then for each half of the block
 *     i32 −bias · Σ q         for weights whose quants were made unsigned by a bias, or
 *     f32 scale · Σ q         for weights with offsets
 *
 * Where one scale of the weights serves all 32 columns, the first half's word stands for both halves.
 *
 * Threads share the blocks of all rows. Words: x, stride, records, stride, count, columns, bias, short groups.
 */
import { address, integer, shareFirst } from "./call";
import { largestLane } from "./numbers";

/** Bytes of a block's record: 44 and a gap that keeps vectors aligned. */
export const RECORD_BYTES: usize = 48;
export const RECORD_SCALE: usize = 32;
export const RECORD_SUMS: usize = 36;

export function quantizeActivations(call: usize, thread: i32, threadCount: i32): void {
  const blocks = integer(call, 6) >> 5;
  const bias = integer(call, 7);
  const shortGroups = integer(call, 8) != 0;
  const items = load<i32>(address(call, 5)) * blocks;
  const last = shareFirst(items, thread + 1, threadCount);
  for (let item = shareFirst(items, thread, threadCount); item < last; item++) {
    const row = <usize>(item / blocks);
    const block = <usize>(item % blocks);
    const x = address(call, 1) + row * address(call, 2) + (block << 7);
    const record = address(call, 3) + row * address(call, 4) + block * RECORD_BYTES;
    quantizeBlock(x, record, bias, shortGroups);
  }
}

function quantizeBlock(x: usize, record: usize, bias: i32, shortGroups: bool): void {
  let lanes = f32x4.splat(0);
  for (let at: usize = 0; at < 128; at += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + at)));
  const largest = largestLane(lanes);
  const inverse: f32 = largest == 0 ? 0 : 127 / largest;
  const scale: f32 = largest / 127;
  const first = quantizeHalf(x, record, inverse);
  const second = quantizeHalf(x + 64, record + 16, inverse);
  store<f32>(record, scale, RECORD_SCALE);
  storeSum(record + RECORD_SUMS, shortGroups ? first : first + second, scale, bias);
  storeSum(record + RECORD_SUMS + 4, second, scale, bias);
}

/** 16 values to int8, rounded to nearest even; returns their sum. */
@inline
function quantizeHalf(x: usize, y: usize, inverse: f32): i32 {
  const factors = f32x4.splat(inverse);
  const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), factors)));
  const b = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 16), factors)));
  const c = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 32), factors)));
  const d = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 48), factors)));
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
