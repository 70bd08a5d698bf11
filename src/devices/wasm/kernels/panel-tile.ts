/**
 * A tile of the product of panels and tokens: 32 columns of 8 rows with 4 tokens.
 *
 * A vector of weights is loaded once for four tokens, and one of activations (the same 4 columns in every lane) once for
 * both halves of the rows: 48 loads for 1,024 products. The 8 integer sums stay in registers; with two vectors of weights
 * and what is being multiplied they are all that 16 registers hold, so sums of blocks are kept in memory.
 */
import { SUM_PAIRS } from "./codes";
import { pairs, quads } from "./dots";
import { BLOCK_QUANTS } from "./formats";
import { RECORD_SCALE, RECORD_SUMS, WIDE_RECORD_SCALE } from "./quantize-activations";

/** Tokens of a tile. */
export const TILE: i32 = 4;
/** A way of summing besides those of codes.ts: 16-bit integers on both sides (multiply-wide.ts). */
export const SUM_WIDE: i32 = -1;

/**
 * Adds one block's products to the sums of 4 tokens at `sum`, 8 floats each. `r0` is the first token's record. `fits`
 * says whether a 16-bit sum holds the pairs of all vectors of a group: of 8 for quants of 4 bits, of 4 for 3.
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
): void {
  const r1 = r0 + stride;
  const r2 = r1 + stride;
  const r3 = r2 + stride;
  const quantBytes = mode == SUM_WIDE ? 2 * BLOCK_QUANTS : BLOCK_QUANTS;
  const scales = panel + quantBytes;
  let x0 = r0;
  let x1 = r1;
  let x2 = r2;
  let x3 = r3;
  let a0 = first(mode, fits, offsets, r0 + RECORD_SUMS);
  let b0 = a0;
  let a1 = first(mode, fits, offsets, r1 + RECORD_SUMS);
  let b1 = a1;
  let a2 = first(mode, fits, offsets, r2 + RECORD_SUMS);
  let b2 = a2;
  let a3 = first(mode, fits, offsets, r3 + RECORD_SUMS);
  let b3 = a3;
  let group: usize = 0;
  for (let w = panel; w < scales; ) {
    // Two steps of 4 columns at a time: of more, the compiler would do a whole token before the next, and registers run out.
    const end = shortGroups ? w + quantBytes / 2 : scales;
    for (; w < end; w += 64) {
      const q = v128.load(w);
      const p = v128.load(w, 16);
      const q1 = v128.load(w, 32);
      const p1 = v128.load(w, 48);
      const x0First = v128.load32_splat(x0);
      const x0Second = v128.load32_splat(x0, 4);
      a0 = step(mode, fits, step(mode, fits, a0, x0First, q), x0Second, q1);
      b0 = step(mode, fits, step(mode, fits, b0, x0First, p), x0Second, p1);
      const x1First = v128.load32_splat(x1);
      const x1Second = v128.load32_splat(x1, 4);
      a1 = step(mode, fits, step(mode, fits, a1, x1First, q), x1Second, q1);
      b1 = step(mode, fits, step(mode, fits, b1, x1First, p), x1Second, p1);
      const x2First = v128.load32_splat(x2);
      const x2Second = v128.load32_splat(x2, 4);
      a2 = step(mode, fits, step(mode, fits, a2, x2First, q), x2Second, q1);
      b2 = step(mode, fits, step(mode, fits, b2, x2First, p), x2Second, p1);
      const x3First = v128.load32_splat(x3);
      const x3Second = v128.load32_splat(x3, 4);
      a3 = step(mode, fits, step(mode, fits, a3, x3First, q), x3Second, q1);
      b3 = step(mode, fits, step(mode, fits, b3, x3First, p), x3Second, p1);
      x0 += 8;
      x1 += 8;
      x2 += 8;
      x3 += 8;
    }
    addGroup(mode, fits, shortGroups, offsets, a0, b0, r0, group, scales + 32 * group, sum);
    addGroup(mode, fits, shortGroups, offsets, a1, b1, r1, group, scales + 32 * group, sum + 32);
    addGroup(mode, fits, shortGroups, offsets, a2, b2, r2, group, scales + 32 * group, sum + 64);
    addGroup(mode, fits, shortGroups, offsets, a3, b3, r3, group, scales + 32 * group, sum + 96);
    if (shortGroups) {
      a0 = first(mode, fits, offsets, r0 + RECORD_SUMS + 4);
      b0 = a0;
      a1 = first(mode, fits, offsets, r1 + RECORD_SUMS + 4);
      b1 = a1;
      a2 = first(mode, fits, offsets, r2 + RECORD_SUMS + 4);
      b2 = a2;
      a3 = first(mode, fits, offsets, r3 + RECORD_SUMS + 4);
      b3 = a3;
      group = 1;
    }
  }
  if (!offsets || !shortGroups) return;
  addOffsets(r0, scales + 64, sum);
  addOffsets(r1, scales + 64, sum + 32);
  addOffsets(r2, scales + 64, sum + 64);
  addOffsets(r3, scales + 64, sum + 96);
}

/** What a sum starts with. 16-bit sums get theirs at the end: it may not fit. */
@inline
function first(mode: i32, fits: bool, offsets: bool, at: usize): v128 {
  if (offsets || mode == SUM_WIDE || (mode == SUM_PAIRS && fits)) return i32x4.splat(0);
  return v128.load32_splat(at);
}

/** sum + Σ over 4 columns of x · q; over 2 columns of 16 bits. */
@inline
function step(mode: i32, fits: bool, sum: v128, x: v128, q: v128): v128 {
  if (mode == SUM_WIDE) return i32x4.add(sum, i32x4.dot_i16x8_s(q, x));
  if (mode != SUM_PAIRS) return quads(sum, x, q);
  if (fits) return i16x8.add(sum, pairs(x, q));
  return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(pairs(x, q)));
}

/** Adds a group's integer sums, with its scales, to the sums of blocks. `group`: of 16 columns, 0 or 1. */
@inline
function addGroup(
  mode: i32,
  fits: bool,
  shortGroups: bool,
  offsets: bool,
  a: v128,
  b: v128,
  record: usize,
  group: usize,
  scales: usize,
  sum: usize,
): void {
  const scale = v128.load32_splat(record + (mode == SUM_WIDE ? WIDE_RECORD_SCALE : RECORD_SCALE));
  let lower = a;
  let upper = b;
  if (mode == SUM_PAIRS && fits) {
    lower = i32x4.extadd_pairwise_i16x8_s(a);
    upper = i32x4.extadd_pairwise_i16x8_s(b);
    if (!offsets) {
      const start = v128.load32_splat(record + RECORD_SUMS + 4 * group);
      lower = i32x4.add(start, lower);
      upper = i32x4.add(start, upper);
    }
  }
  const lowerProduct = f32x4.mul(f32x4.convert_i32x4_s(lower), f32x4.mul(v128.load(scales), scale));
  const upperProduct = f32x4.mul(f32x4.convert_i32x4_s(upper), f32x4.mul(v128.load(scales, 16), scale));
  let lowerSum = f32x4.add(v128.load(sum), lowerProduct);
  let upperSum = f32x4.add(v128.load(sum, 16), upperProduct);
  if (offsets && !shortGroups) {
    const total = v128.load32_splat(record + RECORD_SUMS);
    lowerSum = f32x4.add(lowerSum, f32x4.mul(v128.load(scales, 32), total));
    upperSum = f32x4.add(upperSum, f32x4.mul(v128.load(scales, 48), total));
  }
  v128.store(sum, lowerSum);
  v128.store(sum, upperSum, 16);
}

/** Adds both groups' offsets, which come after their products. */
@inline
function addOffsets(record: usize, offsets: usize, sum: usize): void {
  const first = v128.load32_splat(record + RECORD_SUMS);
  const second = v128.load32_splat(record + RECORD_SUMS + 4);
  const lower = f32x4.add(v128.load(sum), f32x4.mul(v128.load(offsets), first));
  const upper = f32x4.add(v128.load(sum, 16), f32x4.mul(v128.load(offsets, 16), first));
  v128.store(sum, f32x4.add(lower, f32x4.mul(v128.load(offsets, 32), second)));
  v128.store(sum, f32x4.add(upper, f32x4.mul(v128.load(offsets, 48), second)), 16);
}
