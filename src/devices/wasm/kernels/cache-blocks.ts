/**
 * Blocks of a cache in Q8_0, as a file's: an f16 scale, then 32 int8.
 *
 * Where quants become floats, each is moved into the highest byte of a lane, where it is 2²⁴ times as much, so that a
 * shuffle and a conversion make four floats of four bytes; QUANT_POWER takes the 2²⁴ back in the block's scale. Both are
 * exact.
 */

export const BLOCK_LENGTH = 32;
export const BLOCK_BYTES: usize = 34;

/** 2¹¹² · 2⁻²⁴: HALF_POWER for the scale of quants that are 2²⁴ times too large. */
const QUANT_POWER: i32 = 0x6b800000;

/** Places of `fourQuants`: 128 and more give 0. */
const TOP_BYTES: usize = memory.data<u8>([128, 128, 128, 0, 128, 128, 128, 1, 128, 128, 128, 2, 128, 128, 128, 3], 16);

/** What loops keep in a variable for `fourQuants`. */
@inline
export function topBytes(): v128 {
  return v128.load(TOP_BYTES);
}

/** What loops keep in a variable for `scaleOf`. */
@inline
export function quantPower(): v128 {
  return i32x4.splat(QUANT_POWER);
}

/** 2²⁴ times the four quants in the lowest bytes, as floats. */
@inline
export function fourQuants(bytes: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.convert_i32x4_s(i8x16.relaxed_swizzle(bytes, indices));
  return f32x4.convert_i32x4_s(v128.swizzle(bytes, indices));
}

/**
 * A block's scale in four lanes, times 2⁻²⁴ with `quantPower`, as it is with HALF_POWER. A half beside itself, shifted by
 * 3, stands as `finiteHalves` needs it.
 */
@inline
export function scaleOf(block: usize, mask: v128, power: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shr_s(v128.load16_splat(block), 3), mask), power);
}
