/**
 * The order in which weights lie in memory here: 8 output rows interleaved, so that a vector's lanes are rows and no
 * product needs a sum across lanes, and a thread reads its rows as one contiguous stream.
 *
 * F32, F16, BF16: [column][8 rows].
 *
 * Packed formats, for every 32 columns, lossless and almost as small as in the file:
 *
 *   head      before every 8 blocks of a K format: f16 scale of the scales, 8 rows; the same for offsets, if any
 *   scales    f16 (K formats: int8) of 8 rows, for each group of 32 or 16 columns; then the offsets, if any
 *   nibbles   8 vectors, each of 4 columns: byte 4·r + c has row r in its low and row r + 4 in its high half
 *   twos      4 vectors of 2-bit values: step k of the nibbles' order in bits 4·(k mod 2) (rows 0-3) and 2 more (4-7)
 *   ones      2 vectors of single bits: step k in bits 2·(k mod 4) (rows 0-3) and 1 more (rows 4-7)
 *   bytes     Q8_0: 8 pairs of vectors, rows 0-3 and 4-7
 *
 * A quant is put together from these as an unsigned integer: the signed one plus `biasOf` the format.
 */
import { BF16, BLOCK_QUANTS, F16, F32, IQ4_NL, Q2_K, Q3_K, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0 } from "./codes";
import { finiteHalves } from "./numbers";

@inline
export function isFloats(format: i32): bool {
  return format == F32 || format == F16 || format == BF16;
}

/** Blocks of 256 with two levels of scales. */
@inline
export function isK(format: i32): bool {
  return format >= Q2_K && format <= Q6_K;
}

/** Quants of 8 bits; all others fit in 7. */
@inline
export function isWide(format: i32): bool {
  return format == Q8_0 || format == IQ4_NL;
}

/** A scale for 16 columns instead of 32. */
@inline
export function hasShortGroups(format: i32): bool {
  return format == Q2_K || format == Q3_K || format == Q6_K;
}

@inline
export function hasOffsets(format: i32): bool {
  return format == Q4_1 || format == Q5_1 || format == Q2_K || format == Q4_K || format == Q5_K;
}

@inline
export function hasNibbles(format: i32): bool {
  return format != Q8_0 && format != Q2_K && format != Q3_K;
}

@inline
export function hasTwos(format: i32): bool {
  return format == Q2_K || format == Q3_K || format == Q6_K;
}

@inline
export function hasOnes(format: i32): bool {
  return format == Q5_0 || format == Q5_1 || format == Q5_K || format == Q3_K;
}

/** What was added to make quants unsigned. */
export function biasOf(format: i32): i32 {
  if (isWide(format)) return 128;
  if (hasOffsets(format)) return 0;
  if (format == Q6_K) return 32;
  if (format == Q5_0) return 16;
  return format == Q3_K ? 4 : 8;
}

/** Bits from one step's value to its place in the quant, above the nibble or the two bits. */
@inline
export function onesPlace(format: i32): i32 {
  return format == Q3_K ? 2 : 4;
}

@inline
export function twosPlace(format: i32): i32 {
  return format == Q6_K ? 4 : 0;
}

/** Bytes of a head, 0 for formats without. */
@inline
export function headBytes(format: i32): usize {
  if (!isK(format)) return 0;
  return hasOffsets(format) ? 32 : 16;
}

/** Blocks from one head to the next. */
@inline
export function blocksPerHead(format: i32): i32 {
  return isK(format) ? 8 : 1;
}

/** Bytes of the scales of a block, without its offsets, which are as many. */
@inline
export function scaleBytes(format: i32): usize {
  return isK(format) && !hasShortGroups(format) ? 8 : 16;
}

/** Where the quants of a block begin. */
@inline
export function quantsAt(format: i32): usize {
  return hasOffsets(format) ? 2 * scaleBytes(format) : scaleBytes(format);
}

@inline
export function twosAt(format: i32): usize {
  return hasNibbles(format) ? 128 : 0;
}

@inline
export function onesAt(format: i32): usize {
  return twosAt(format) + (hasTwos(format) ? 64 : 0);
}

/** Bytes of a block of 32 columns of 8 rows. */
@inline
export function blockBytes(format: i32): usize {
  if (format == Q8_0) return quantsAt(format) + BLOCK_QUANTS;
  return quantsAt(format) + onesAt(format) + (hasOnes(format) ? 32 : 0);
}

/** Bytes of 8 rows. */
export function groupBytes(format: i32, columns: i32): usize {
  if (format == F32) return <usize>columns << 5;
  if (isFloats(format)) return <usize>columns << 4;
  const blocks = columns >> 5;
  return <usize>(blocks / blocksPerHead(format)) * headBytes(format) + <usize>blocks * blockBytes(format);
}

/**
 * Step k (4 columns) of a block's quants, rows 0-3 or 4-7, as unsigned bytes. `ones` has 1 in every byte, read from
 * memory: V8 would build a constant anew at each use. The masks are made of it before the loop.
 */
@inline
export function quants(
  format: i32,
  at: usize,
  k: i32,
  upper: bool,
  nibbleMask: v128,
  twosMask: v128,
  onesMask: v128,
): v128 {
  if (format == Q8_0) return v128.load(at + 32 * <usize>k + (upper ? 16 : 0));
  let q = i32x4.splat(0);
  if (hasNibbles(format)) {
    const pairs = v128.load(at + 16 * <usize>k);
    q = v128.and(upper ? i16x8.shr_u(pairs, 4) : pairs, nibbleMask);
  }
  if (format == IQ4_NL)
    return lookUp(v128.load(IQ4_NL_QUANTS), q);
  if (hasTwos(format)) {
    const twos = v128.load(at + twosAt(format) + 16 * <usize>(k >> 1));
    q = v128.or(q, v128.and(shifted(twos, twosPlace(format) - 4 * (k & 1) - (upper ? 2 : 0)), twosMask));
  }
  if (hasOnes(format)) {
    const bits = v128.load(at + onesAt(format) + 16 * <usize>(k >> 2));
    q = v128.or(q, v128.and(shifted(bits, onesPlace(format) - 2 * (k & 3) - (upper ? 1 : 0)), onesMask));
  }
  return q;
}

/** IQ4_NL's sixteen quants, made unsigned by their bias; in memory, since V8 would build a constant anew at each use. */
const IQ4_NL_QUANTS: usize = memory.data<u8>([
  1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241,
]);

/** Bytes of a table of 16; indices are below that, so both instructions do the same. */
@inline
function lookUp(table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, indices);
  return v128.swizzle(table, indices);
}

/** Shifts left, or right for a negative distance; bits that cross bytes are masked off by the caller. */
@inline
function shifted(x: v128, distance: i32): v128 {
  if (distance > 0) return i16x8.shl(x, distance);
  if (distance < 0) return i16x8.shr_u(x, -distance);
  return x;
}

/** A constant byte in every lane, as a multiple of `ones`. */
@inline
export function masks(ones: v128, byte: i32): v128 {
  return i32x4.mul(ones, i32x4.splat(byte));
}

@inline
export function twosMaskOf(format: i32): i32 {
  return 3 << twosPlace(format);
}

@inline
export function onesMaskOf(format: i32): i32 {
  return 1 << onesPlace(format);
}

/** Scales of one group of 32 columns that are a byte for each row: K formats without short groups. */
@inline
export function hasByteScales(format: i32): bool {
  return isK(format) && !hasShortGroups(format);
}

/** The same as `scales` where these are bytes; `bytes` are those of all 8 rows, as 16-bit integers. */
@inline
export function byteScales(bytes: v128, upper: bool, head: v128): v128 {
  const words = upper ? i32x4.extend_high_i16x8_s(bytes) : i32x4.extend_low_i16x8_s(bytes);
  return f32x4.mul(head, f32x4.convert_i32x4_s(words));
}

/**
 * Scales (or, with the head of these, offsets) of four rows for one group of columns: `at` is where the block's scales
 * (offsets) begin, `head` the four rows' scale of scales in K formats; `halfMask` and `halfPower`: see finiteHalves.
 */
@inline
export function scales(
  format: i32,
  at: usize,
  group: i32,
  upper: bool,
  head: v128,
  halfMask: v128,
  halfPower: v128,
): v128 {
  if (!isK(format)) return finiteHalves(at + (upper ? 8 : 0), halfMask, halfPower);
  const bytes = v128.load32_zero(at + 8 * <usize>group + (upper ? 4 : 0));
  const words = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes));
  return f32x4.mul(head, f32x4.convert_i32x4_s(words));
}
