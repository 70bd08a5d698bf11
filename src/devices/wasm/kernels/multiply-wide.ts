/**
 * The product of panels and several tokens for quants of 8 bits, where no exact product of bytes is to be had
 * (codes.ts): weights and activations as 16-bit integers, which every processor multiplies exactly, two columns a lane.
 *
 * A wide panel has for every 32 columns 16 steps of 2 columns (rows 0-3, rows 4-7), then 8 scales. Twice the bytes of a
 * panel, but two instructions for 8 products where splitting into nibbles takes four.
 */
import { address, integer } from "./call";
import { BLOCK_QUANTS, blockBytes } from "./formats";
import { addTile, SUM_WIDE, TILE } from "./panel-tile";
import { unpackPanel } from "./panels";
import { WIDE_RECORD_BYTES, WIDE_RECORD_SCALE } from "./quantize-activations";

/** Bytes of 32 columns of 8 rows. */
export const WIDE_BLOCK_BYTES: usize = 2 * BLOCK_QUANTS + 32;

/** Unpacks the group at `w`, by way of a block of a usual panel at `scratch`. */
export function unpackWidePanel(format: i32, w: usize, blocks: i32, panel: usize, scratch: usize, ones: v128): void {
  for (let block = 0; block < blocks; block++) {
    unpackPanel(format, w, 1, scratch, ones);
    for (let at: usize = 0; at < BLOCK_QUANTS; at += 32) {
      widenStep(scratch + at, panel + 2 * at);
      widenStep(scratch + at + 16, panel + 2 * at + 16);
    }
    memory.copy(panel + 2 * BLOCK_QUANTS, scratch + BLOCK_QUANTS, 32);
    panel += WIDE_BLOCK_BYTES;
    w += blockBytes(format);
  }
}

/** Four columns of four rows: columns 0 and 1 to `out`, 2 and 3 after the other rows' vector. The bias goes. */
@inline
function widenStep(at: usize, out: usize): void {
  const signed = v128.xor(v128.load(at), i8x16.splat(-128));
  const pairs = v128.shuffle<i16>(signed, signed, 0, 2, 4, 6, 1, 3, 5, 7);
  v128.store(out, i16x8.extend_low_i8x16_s(pairs));
  v128.store(out, i16x8.extend_high_i8x16_s(pairs), 32);
}

/** Adds a group's products with `tokens` tokens to their sums, 8 floats each. Words: as in multiply-packed.ts. */
export function multiplyWideTile(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  const blocks = integer(call, 6) >> 5;
  const stride = address(call, 2);
  let records = address(call, 1) + <usize>token * stride;
  const tilesEnd = sums + (<usize>(tokens & -TILE) << 5);
  const sumsEnd = sums + (<usize>tokens << 5);
  for (let block = 0; block < blocks; block++) {
    const lowerScale = v128.load(panel, 512);
    const upperScale = v128.load(panel, 528);
    let record = records;
    let sum = sums;
    for (; sum < tilesEnd; sum += 32 * TILE) {
      addTile(SUM_WIDE, false, false, false, panel, record, stride, sum);
      record += TILE * stride;
    }
    for (; sum < sumsEnd; sum += 32) {
      const scale = v128.load32_splat(record + WIDE_RECORD_SCALE);
      let a = i32x4.splat(0);
      let b = i32x4.splat(0);
      for (let step: usize = 0; step < 4; step++) {
        const w = panel + (step << 7);
        const x = record + (step << 4);
        const x0 = v128.load32_splat(x);
        const x1 = v128.load32_splat(x, 4);
        const x2 = v128.load32_splat(x, 8);
        const x3 = v128.load32_splat(x, 12);
        a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(w), x0));
        b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(w, 16), x0));
        a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(w, 32), x1));
        b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(w, 48), x1));
        a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(w, 64), x2));
        b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(w, 80), x2));
        a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(w, 96), x3));
        b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(w, 112), x3));
      }
      const lower = f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(lowerScale, scale));
      const upper = f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(upperScale, scale));
      v128.store(sum, f32x4.add(v128.load(sum), lower));
      v128.store(sum, f32x4.add(v128.load(sum, 16), upper), 16);
      record += stride;
    }
    panel += WIDE_BLOCK_BYTES;
    records += WIDE_RECORD_BYTES;
  }
}
