/**
 * The product of panels and several tokens for quants of 8 bits, where no exact product of bytes is to be had
 * (codes.ts): weights and activations as 16-bit integers, which every processor multiplies exactly, two columns a lane.
 *
 * A wide panel has for every 32 columns 16 steps of 2 columns (rows 0-3, rows 4-7), then 8 scales. Twice the bytes of a
 * panel, but two instructions for 8 products where splitting into nibbles takes four.
 */
import { address, integer } from "./call";
import { BLOCK_QUANTS, WIDE_BLOCK_BYTES, WIDE_RECORD_BYTES } from "./codes";
import { blockBytes } from "./formats";
import { multiplyAdd } from "./numbers";
import { TILE } from "./panel-tile";
import { unpackPanel } from "./panels";
import { WIDE_RECORD_SCALE } from "./quantize-activations";

/** Unpacks the group at `w`, by way of a block of a usual panel at `scratch`. */
export function unpackWidePanel(format: i32, w: usize, blocks: i32, panel: usize, scratch: usize, ones: v128): void {
  for (let block = 0; block < blocks; block++) {
    unpackPanel(format, w, 1, scratch, ones);
    for (let at: usize = 0; at < <usize>BLOCK_QUANTS; at += 32) {
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
      addWideTile(panel, lowerScale, upperScale, record, stride, sum);
      record += TILE * stride;
    }
    for (; sum < sumsEnd; sum += 32) {
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
      addWide(a, b, v128.load32_splat(record, WIDE_RECORD_SCALE), lowerScale, upperScale, sum);
      record += stride;
    }
    panel += WIDE_BLOCK_BYTES;
    records += WIDE_RECORD_BYTES;
  }
}

/** Adds one block's products to the sums of 4 tokens, as panel-tile.ts does with bytes. */
@inline
function addWideTile(
  panel: usize,
  lowerScale: v128,
  upperScale: v128,
  r0: usize,
  stride: usize,
  sum: usize,
): void {
  const r1 = r0 + stride;
  const r2 = r1 + stride;
  const r3 = r2 + stride;
  let a0 = i32x4.splat(0);
  let b0 = a0;
  let a1 = a0;
  let b1 = a0;
  let a2 = a0;
  let b2 = a0;
  let a3 = a0;
  let b3 = a0;
  let x0 = r0;
  let x1 = r1;
  let x2 = r2;
  let x3 = r3;
  for (let w = panel; w < panel + 2 * BLOCK_QUANTS; w += 128) {
    let q = v128.load(w);
    let p = v128.load(w, 16);
    let x = v128.load32_splat(x0);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, x));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x1);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, x));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x2);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q, x));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x3);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q, x));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(p, x));
    q = v128.load(w, 32);
    p = v128.load(w, 48);
    x = v128.load32_splat(x0, 4);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, x));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x1, 4);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, x));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x2, 4);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q, x));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x3, 4);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q, x));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(p, x));
    q = v128.load(w, 64);
    p = v128.load(w, 80);
    x = v128.load32_splat(x0, 8);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, x));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x1, 8);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, x));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x2, 8);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q, x));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x3, 8);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q, x));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(p, x));
    q = v128.load(w, 96);
    p = v128.load(w, 112);
    x = v128.load32_splat(x0, 12);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, x));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x1, 12);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, x));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x2, 12);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q, x));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(p, x));
    x = v128.load32_splat(x3, 12);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q, x));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(p, x));
    x0 += 16;
    x1 += 16;
    x2 += 16;
    x3 += 16;
  }
  addWide(a0, b0, v128.load32_splat(r0, WIDE_RECORD_SCALE), lowerScale, upperScale, sum);
  addWide(a1, b1, v128.load32_splat(r1, WIDE_RECORD_SCALE), lowerScale, upperScale, sum + 32);
  addWide(a2, b2, v128.load32_splat(r2, WIDE_RECORD_SCALE), lowerScale, upperScale, sum + 64);
  addWide(a3, b3, v128.load32_splat(r3, WIDE_RECORD_SCALE), lowerScale, upperScale, sum + 96);
}

@inline
function addWide(a: v128, b: v128, scale: v128, lowerScale: v128, upperScale: v128, sum: usize): void {
  v128.store(sum, multiplyAdd(f32x4.convert_i32x4_s(a), f32x4.mul(lowerScale, scale), v128.load(sum)));
  v128.store(sum, multiplyAdd(f32x4.convert_i32x4_s(b), f32x4.mul(upperScale, scale), v128.load(sum, 16)), 16);
}
