/**
 * Sums of products of int8 activations and unsigned quants, in three ways that are equal to the bit: which is the
 * fastest, and which is exact, depends on the processor (codes.ts). Each takes 16 columns of 4 rows: four vectors of
 * quants (lanes are rows, 4 columns a lane) and four of activations (the same 4 columns in every lane).
 */
import { SUM_PAIRS, SUM_QUADS_OF_BYTES } from "./codes";

/** sum + Σ x · q, where q has 7 bits; `pairsFit` is how many vectors' pairs a 16-bit sum holds: 4, or 2 for 6 bits. */
@inline
export function dotNarrow(
  mode: i32,
  pairsFit: i32,
  sum: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  q0: v128,
  q1: v128,
  q2: v128,
  q3: v128,
): v128 {
  if (mode != SUM_PAIRS) return quads(quads(quads(quads(sum, x0, q0), x1, q1), x2, q2), x3, q3);
  const first = i16x8.add(pairs(x0, q0), pairs(x1, q1));
  const second = i16x8.add(pairs(x2, q2), pairs(x3, q3));
  if (pairsFit == 4) return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(i16x8.add(first, second)));
  const sums = i32x4.add(i32x4.extadd_pairwise_i16x8_s(first), i32x4.extadd_pairwise_i16x8_s(second));
  return i32x4.add(sum, sums);
}

/** The same for q of 8 bits: in one go where the processor takes them, else as two nibbles. */
@inline
export function dotWide(
  mode: i32,
  sum: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  q0: v128,
  q1: v128,
  q2: v128,
  q3: v128,
  nibbleMask: v128,
): v128 {
  if (mode == SUM_QUADS_OF_BYTES) return dotNarrow(mode, 4, sum, x0, x1, x2, x3, q0, q1, q2, q3);
  const high = dotNarrow(
    mode,
    4,
    i32x4.splat(0),
    x0,
    x1,
    x2,
    x3,
    highNibbles(q0, nibbleMask),
    highNibbles(q1, nibbleMask),
    highNibbles(q2, nibbleMask),
    highNibbles(q3, nibbleMask),
  );
  return dotNarrow(
    mode,
    4,
    i32x4.add(sum, i32x4.shl(high, 4)),
    x0,
    x1,
    x2,
    x3,
    v128.and(q0, nibbleMask),
    v128.and(q1, nibbleMask),
    v128.and(q2, nibbleMask),
    v128.and(q3, nibbleMask),
  );
}

@inline
export function highNibbles(q: v128, nibbleMask: v128): v128 {
  return v128.and(i16x8.shr_u(q, 4), nibbleMask);
}

/** Four products summed into each 32-bit lane. */
@inline
export function quads(sum: v128, x: v128, q: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, sum);
  return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(pairs(x, q)));
}

/** Two products summed into each 16-bit lane; exact for q of 7 bits. */
@inline
export function pairs(x: v128, q: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_dot<i16>(x, q);
  const low = i16x8.extmul_low_i8x16_s(x, q);
  const high = i16x8.extmul_high_i8x16_s(x, q);
  const even = v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  const odd = v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
  return i16x8.add(even, odd);
}
