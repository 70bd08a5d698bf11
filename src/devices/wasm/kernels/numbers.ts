/** Half precision, exponentials and lane sums: four values at a time. */

/** Bits of a half that was sign-extended and shifted left by 13: its sign, exponent and fraction. */
export const HALF_MASK: i32 = 0x8fffe000;
/** 2¹¹², which puts a half's exponent right. */
export const HALF_POWER: i32 = 0x77800000;

/**
 * The four f16 at `at` as f32, exactly if they are finite. Shifted into place, the exponent is 112 too small: the product
 * puts that right, for subnormal halves too. `mask` and `power` are HALF_MASK and HALF_POWER in all lanes, which loops
 * keep in variables that were read from memory: V8 would build constants anew at each use.
 */
@inline
export function finiteHalves(at: usize, mask: v128, power: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(at), 13), mask), power);
}

/**
 * Eight f16 at once, and without that product, so 2⁻¹¹² times too small: a loop has a multiplication less where the other factor
 * has the power. The upper 16 bits of each float are made in lanes of 16 bits, the lower ones too, and `firstFloats` and
 * `lastFloats` put them beside each other: six instructions where four at a time take eight. `mask` is the upper half of
 * HALF_MASK in all lanes of 16 bits.
 */
@inline
export function highBitsOf(halves: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_s(halves, 3), mask);
}

@inline
export function lowBitsOf(halves: v128): v128 {
  return i16x8.shl(halves, 13);
}

@inline
export function firstFloats(low: v128, high: v128): v128 {
  return v128.shuffle<i16>(low, high, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline
export function lastFloats(low: v128, high: v128): v128 {
  return v128.shuffle<i16>(low, high, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** One f16 as f32: infinities and NaN as well. */
export function halfToFloat(half: u32): f32 {
  const sign = (half & 0x8000) << 16;
  const magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return reinterpret<f32>(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));
  return reinterpret<f32>(sign | reinterpret<u32>(reinterpret<f32>(magnitude << 13) * reinterpret<f32>(HALF_POWER)));
}

/**
 * The f16 nearest to a value, ties to even, as bits. Adding a power of two 13 places above the value's own makes the
 * addition round to the eleven bits that a half keeps.
 */
@inline
export function floatToHalf(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2⁻¹⁴ a half has steps of 2⁻²⁴: the sum with 0.5 has that step too.
  if (magnitude < 0x38800000) return sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000);
  const odd = (magnitude >> 13) & 1;
  return sign | ((magnitude + 0xfff + odd - 0x38000000) >> 13);
}

/**
 * What `exponential` multiplies with and adds, four lanes each. It is read from memory at each use, which the processor
 * does along with the operation: V8 would build each constant anew with three instructions.
 */
const EXPONENTIAL: usize = memory.data<f32>(
  [
    1.44269504, 1.44269504, 1.44269504, 1.44269504,
    12582912, 12582912, 12582912, 12582912,
    -0.693359375, -0.693359375, -0.693359375, -0.693359375,
    2.12194440e-4, 2.12194440e-4, 2.12194440e-4, 2.12194440e-4,
    1.98412698e-4, 1.98412698e-4, 1.98412698e-4, 1.98412698e-4,
    1.38888889e-3, 1.38888889e-3, 1.38888889e-3, 1.38888889e-3,
    8.33333333e-3, 8.33333333e-3, 8.33333333e-3, 8.33333333e-3,
    4.16666667e-2, 4.16666667e-2, 4.16666667e-2, 4.16666667e-2,
    0.166666667, 0.166666667, 0.166666667, 0.166666667,
    0.5, 0.5, 0.5, 0.5,
    1, 1, 1, 1,
    -87, -87, -87, -87,
    88, 88, 88, 88,
    -40, -40, -40, -40,
  ],
  16,
);

@inline
function exponentialConstant(index: usize): v128 {
  return v128.load(EXPONENTIAL + 16 * index);
}

/**
 * e^x in four lanes, within 2 units in the last place for x ≤ 88; 0 for x below −87.
 *
 *   e^x = 2ⁿ · e^r,  n = round(x / ln 2),  r = x − n · ln 2 in two parts,  e^r by its Taylor polynomial
 *
 * 1.5 · 2²³ added to a number rounds it to a whole one, which are then its lowest bits.
 */
@inline
export function exponential(x: v128): v128 {
  return exponentialFrom(x, exponentialConstant(11));
}

/** The same, but 0 for x below `least`. */
@inline
export function exponentialFrom(x: v128, least: v128): v128 {
  const rounded = multiplyAdd(x, exponentialConstant(0), exponentialConstant(1));
  const n = f32x4.sub(rounded, exponentialConstant(1));
  const r = multiplyAdd(n, exponentialConstant(3), multiplyAdd(n, exponentialConstant(2), x));
  let p = multiplyAdd(exponentialConstant(4), r, exponentialConstant(5));
  p = multiplyAdd(p, r, exponentialConstant(6));
  p = multiplyAdd(p, r, exponentialConstant(7));
  p = multiplyAdd(p, r, exponentialConstant(8));
  p = multiplyAdd(p, r, exponentialConstant(9));
  p = multiplyAdd(p, r, exponentialConstant(10));
  p = multiplyAdd(p, r, exponentialConstant(10));
  const power = i32x4.add(i32x4.shl(rounded, 23), exponentialConstant(10));
  return v128.and(f32x4.mul(p, power), f32x4.ge(x, least));
}

/** 1 in four lanes, from memory. */
@inline
export function ones(): v128 {
  return exponentialConstant(10);
}

/** What an exponent may be at most without becoming infinite, in four lanes. */
@inline
export function largestExponent(): v128 {
  return exponentialConstant(12);
}

/** The least exponent of a softmax that counts, in four lanes: beside a weight of 1 one below e⁻⁴⁰ is lost in any sum. */
@inline
export function leastExponent(): v128 {
  return exponentialConstant(13);
}

/** e^x for one value. */
@inline
export function exponentialOf(x: f32): f32 {
  return f32x4.extract_lane(exponential(f32x4.splat(x)), 0);
}

@inline
export function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

@inline
export function largestLane(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** x · w + sum, in one rounding where the processor can. */
@inline
export function multiplyAdd(x: v128, w: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, w, sum);
  return f32x4.add(f32x4.mul(x, w), sum);
}
