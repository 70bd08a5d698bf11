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
 * e^x in four lanes, within 2 units in the last place for x ≤ 88; 0 for x below −87.
 *
 *   e^x = 2ⁿ · e^r,  n = round(x / ln 2),  r = x − n · ln 2 in two parts,  e^r by its Taylor polynomial
 */
@inline
export function exponential(x: v128): v128 {
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(n, f32x4.splat(2.12194440e-4)));
  let p = f32x4.splat(<f32>(1.0 / 5040));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>(1.0 / 720)));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>(1.0 / 120)));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>(1.0 / 24)));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>(1.0 / 6)));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.and(f32x4.mul(p, power), f32x4.ge(x, f32x4.splat(-87)));
}

/** The same for one value. */
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
