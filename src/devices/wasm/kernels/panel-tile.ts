/**
 * A tile of the product of panels and tokens: 32 columns of 8 rows with 4 tokens.
 *
 * A vector of weights is loaded once for four tokens, and one of activations (the same 4 columns in every lane) once for
 * both halves of the rows: 48 loads for 1,024 products. The 8 integer sums stay in registers; sums of blocks are kept in
 * memory. Bound by the number of instructions, so all 8 steps are written out, with offsets that loads have for nothing;
 * `q`, `p` and `x` are the same variables in each, which keeps the compiler from doing one token after the other with
 * everything else in memory (scripts/build-wasm.ts).
 */
import { BLOCK_QUANTS, SUM_PAIRS } from "./codes";
import { pairs, quads } from "./dots";
import { multiplyAdd } from "./numbers";
import { RECORD_PAIRS, RECORD_SCALE, RECORD_SECOND_SUM, RECORD_SUM } from "./quantize-activations";

/** Tokens of a tile. */
export const TILE: i32 = 4;

/**
 * Adds one block's products to the sums of 4 tokens at `sum`, 8 floats each. `r0` is the first token's record. `fits`
 * says whether a 16-bit sum holds the pairs of all vectors of a group: of 8 for quants of 4 bits, of 4 for 3. `ones` has
 * 1 in every 16 bits.
 */
@inline
export function addTile(
  mode: i32,
  fits: bool,
  shortGroups: bool,
  offsets: bool,
  panel: usize,
  r0: usize,
  stride: usize,
  sum: usize,
  ones: v128,
): void {
  const r1 = r0 + stride;
  const r2 = r1 + stride;
  const r3 = r2 + stride;
  let scales = panel + BLOCK_QUANTS;
  let a0 = first(mode, fits, shortGroups, offsets, r0);
  let b0 = a0;
  let a1 = first(mode, fits, shortGroups, offsets, r1);
  let b1 = a1;
  let a2 = first(mode, fits, shortGroups, offsets, r2);
  let b2 = a2;
  let a3 = first(mode, fits, shortGroups, offsets, r3);
  let b3 = a3;
  let q = v128.load(panel);
  let p = v128.load(panel, 16);
  let x = v128.load32_splat(r0);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 32);
  p = v128.load(panel, 48);
  x = v128.load32_splat(r0, 4);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 4);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 4);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 4);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 64);
  p = v128.load(panel, 80);
  x = v128.load32_splat(r0, 8);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 8);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 8);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 8);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 96);
  p = v128.load(panel, 112);
  x = v128.load32_splat(r0, 12);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 12);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 12);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 12);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  let lower = v128.load(scales);
  let upper = v128.load(scales, 16);
  if (shortGroups) {
    addGroup(mode, fits, true, offsets, ones, a0, b0, r0, 0, lower, upper, lower, upper, sum);
    addGroup(mode, fits, true, offsets, ones, a1, b1, r1, 0, lower, upper, lower, upper, sum + 32);
    addGroup(mode, fits, true, offsets, ones, a2, b2, r2, 0, lower, upper, lower, upper, sum + 64);
    addGroup(mode, fits, true, offsets, ones, a3, b3, r3, 0, lower, upper, lower, upper, sum + 96);
    a0 = second(mode, fits, offsets, r0);
    b0 = a0;
    a1 = second(mode, fits, offsets, r1);
    b1 = a1;
    a2 = second(mode, fits, offsets, r2);
    b2 = a2;
    a3 = second(mode, fits, offsets, r3);
    b3 = a3;
    scales += 32;
    lower = v128.load(scales);
    upper = v128.load(scales, 16);
  }
  q = v128.load(panel, 128);
  p = v128.load(panel, 144);
  x = v128.load32_splat(r0, 16);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 16);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 16);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 16);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 160);
  p = v128.load(panel, 176);
  x = v128.load32_splat(r0, 20);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 20);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 20);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 20);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 192);
  p = v128.load(panel, 208);
  x = v128.load32_splat(r0, 24);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 24);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 24);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 24);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  q = v128.load(panel, 224);
  p = v128.load(panel, 240);
  x = v128.load32_splat(r0, 28);
  a0 = step(mode, fits, a0, x, q, ones);
  b0 = step(mode, fits, b0, x, p, ones);
  x = v128.load32_splat(r1, 28);
  a1 = step(mode, fits, a1, x, q, ones);
  b1 = step(mode, fits, b1, x, p, ones);
  x = v128.load32_splat(r2, 28);
  a2 = step(mode, fits, a2, x, q, ones);
  b2 = step(mode, fits, b2, x, p, ones);
  x = v128.load32_splat(r3, 28);
  a3 = step(mode, fits, a3, x, q, ones);
  b3 = step(mode, fits, b3, x, p, ones);
  const lowerOffset = offsets && !shortGroups ? v128.load(scales, 32) : lower;
  const upperOffset = offsets && !shortGroups ? v128.load(scales, 48) : upper;
  addGroup(mode, fits, shortGroups, offsets, ones, a0, b0, r0, 1, lower, upper, lowerOffset, upperOffset, sum);
  addGroup(mode, fits, shortGroups, offsets, ones, a1, b1, r1, 1, lower, upper, lowerOffset, upperOffset, sum + 32);
  addGroup(mode, fits, shortGroups, offsets, ones, a2, b2, r2, 1, lower, upper, lowerOffset, upperOffset, sum + 64);
  addGroup(mode, fits, shortGroups, offsets, ones, a3, b3, r3, 1, lower, upper, lowerOffset, upperOffset, sum + 96);
  if (!offsets || !shortGroups) return;
  scales += 32;
  addOffsets(r0, scales, sum);
  addOffsets(r1, scales, sum + 32);
  addOffsets(r2, scales, sum + 64);
  addOffsets(r3, scales, sum + 96);
}

/**
 * What a sum starts with: −bias · Σ x, so that unsigned quants count as signed. In 16 bits it may overflow on the way,
 * which does no harm where what comes out at the end fits again.
 */
@inline
function first(mode: i32, fits: bool, shortGroups: bool, offsets: bool, record: usize): v128 {
  if (offsets || (mode == SUM_PAIRS && fits && shortGroups)) return i32x4.splat(0);
  if (mode == SUM_PAIRS && fits) return v128.load32_splat(record, RECORD_PAIRS);
  return v128.load32_splat(record, RECORD_SUM);
}

/** The same for the second of two short groups. */
@inline
function second(mode: i32, fits: bool, offsets: bool, record: usize): v128 {
  if (offsets || (mode == SUM_PAIRS && fits)) return i32x4.splat(0);
  return v128.load32_splat(record, RECORD_SECOND_SUM);
}

/** sum + Σ over 4 columns of x · q. */
@inline
function step(mode: i32, fits: bool, sum: v128, x: v128, q: v128, ones: v128): v128 {
  if (mode != SUM_PAIRS) return quads(sum, x, q);
  if (fits) return i16x8.add(sum, pairs(x, q));
  return i32x4.add(sum, i32x4.dot_i16x8_s(pairs(x, q), ones));
}

/**
 * Adds a group's integer sums, with its scales, to the sums of blocks; a long group's offsets too. `group`: of two short
 * ones, 0 or 1.
 */
@inline
function addGroup(
  mode: i32,
  fits: bool,
  shortGroups: bool,
  offsets: bool,
  ones: v128,
  a: v128,
  b: v128,
  record: usize,
  group: i32,
  lowerScale: v128,
  upperScale: v128,
  lowerOffset: v128,
  upperOffset: v128,
  sum: usize,
): void {
  const scale = v128.load32_splat(record, RECORD_SCALE);
  let lower = a;
  let upper = b;
  if (mode == SUM_PAIRS && fits) {
    lower = i32x4.dot_i16x8_s(a, ones);
    upper = i32x4.dot_i16x8_s(b, ones);
    if (shortGroups && !offsets) {
      const start = group == 0 ? v128.load32_splat(record, RECORD_SUM) : v128.load32_splat(record, RECORD_SECOND_SUM);
      lower = i32x4.add(start, lower);
      upper = i32x4.add(start, upper);
    }
  }
  let lowerSum = multiplyAdd(f32x4.convert_i32x4_s(lower), f32x4.mul(lowerScale, scale), v128.load(sum));
  let upperSum = multiplyAdd(f32x4.convert_i32x4_s(upper), f32x4.mul(upperScale, scale), v128.load(sum, 16));
  if (offsets && !shortGroups) {
    const total = v128.load32_splat(record, RECORD_SUM);
    lowerSum = multiplyAdd(lowerOffset, total, lowerSum);
    upperSum = multiplyAdd(upperOffset, total, upperSum);
  }
  v128.store(sum, lowerSum);
  v128.store(sum, upperSum, 16);
}

/** Adds the offsets of both short groups, which come after their products. */
@inline
function addOffsets(record: usize, offsets: usize, sum: usize): void {
  const first = v128.load32_splat(record, RECORD_SUM);
  const second = v128.load32_splat(record, RECORD_SECOND_SUM);
  const lower = multiplyAdd(v128.load(offsets), first, v128.load(sum));
  const upper = multiplyAdd(v128.load(offsets, 16), first, v128.load(sum, 16));
  v128.store(sum, multiplyAdd(v128.load(offsets, 32), second, lower));
  v128.store(sum, multiplyAdd(v128.load(offsets, 48), second, upper), 16);
}
