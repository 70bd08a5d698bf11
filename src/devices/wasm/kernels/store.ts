/**
 * store: threads share the rows; each value is rounded to f16, or blocks of 32 to int8 with an f16 scale (tensor/pack.ts).
 *
 * Words: x, stride, cache, stride, positions, sequences, pages, stride, page length, count, key/value heads, head length,
 * format.
 */
import { BLOCK_BYTES } from "./cache-blocks";
import { address, integer, shareFirst } from "./call";
import { cellOf } from "./cells";
import { Q8_0 } from "./codes";
import { floatToHalf, largestLane } from "./numbers";

export function storeRows(call: usize, thread: i32, threadCount: i32): void {
  const kvHeads = integer(call, 11);
  const headLength = <usize>integer(call, 12);
  const pageLength = integer(call, 9);
  const count = load<i32>(address(call, 10));
  const quants = integer(call, 13) == Q8_0;
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const word = (<usize>row) << 2;
    const sequence = load<i32>(address(call, 6) + word);
    const pages = address(call, 7) + <usize>sequence * address(call, 8);
    const cell = cellOf(pages, load<i32>(address(call, 5) + word), pageLength, kvHeads * pageLength);
    let x = address(call, 1) + <usize>row * address(call, 2);
    let y = address(call, 3) + cell * address(call, 4);
    for (let head = 0; head < kvHeads; head++) {
      if (quants) storeBlocks(x, y, headLength);
      else
        for (let c: usize = 0; c < headLength; c++)
          store<u16>(y + (c << 1), <u16>floatToHalf(load<f32>(x + (c << 2))));
      x += headLength << 2;
      y += <usize>pageLength * address(call, 4);
    }
  }
}

/** Smallest normal f32: below it 1 / scale may be infinite. */
const SMALLEST_SCALE: f32 = 1.17549435e-38;

function storeBlocks(x: usize, y: usize, headLength: usize): void {
  const end = x + (headLength << 2);
  for (; x < end; x += 128) {
    let lanes = f32x4.splat(0);
    for (let at: usize = 0; at < 128; at += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + at)));
    const scale: f32 = largestLane(lanes) / 127;
    const inverse = f32x4.splat(scale < SMALLEST_SCALE ? 0 : 1 / scale);
    store<u16>(y, <u16>floatToHalf(scale));
    for (let c: usize = 0; c < 32; c += 16) {
      const at = x + (c << 2);
      const low = i16x8.narrow_i32x4_s(rounded(at, inverse), rounded(at + 16, inverse));
      const high = i16x8.narrow_i32x4_s(rounded(at + 32, inverse), rounded(at + 48, inverse));
      v128.store(y + 2 + c, i8x16.narrow_i16x8_s(low, high));
    }
    y += BLOCK_BYTES;
  }
}

/** Four values times `inverse` to the nearest integers, halves away from 0: cut off after the float below ½ is added. */
@inline
function rounded(at: usize, inverse: v128): v128 {
  const x = f32x4.mul(v128.load(at), inverse);
  const half = v128.or(v128.and(x, i32x4.splat(0x80000000)), i32x4.splat(0x3effffff));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(x, half));
}
