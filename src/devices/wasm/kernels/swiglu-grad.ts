/**
 * swigluGrad: threads share the rows.
 *
 * Words: gate, stride, up, stride, dy, stride, dGate, stride, dUp, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";
import { exponential, largestExponent, ones } from "./numbers";

export function swigluGrad(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  const columns = integer(call, 12);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const gate = address(call, 1) + <usize>row * address(call, 2);
    const up = address(call, 3) + <usize>row * address(call, 4);
    const dy = address(call, 5) + <usize>row * address(call, 6);
    const dGate = address(call, 7) + <usize>row * address(call, 8);
    const dUp = address(call, 9) + <usize>row * address(call, 10);
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      const at = <usize>column << 2;
      const z = v128.load(gate + at);
      const slope = v128.load(dy + at);
      const sigmoid = sigmoidOf(z);
      const upward = v128.load(up + at);
      v128.store(dUp + at, f32x4.mul(slope, f32x4.mul(z, sigmoid)));
      v128.store(dGate + at, gateSlope(z, sigmoid, f32x4.mul(slope, upward)));
    }
    for (; column < columns; column++) {
      const at = <usize>column << 2;
      const z = v128.load32_splat(gate + at);
      const slope = v128.load32_splat(dy + at);
      const sigmoid = sigmoidOf(z);
      const upward = v128.load32_splat(up + at);
      v128.store_lane<f32>(dUp + at, f32x4.mul(slope, f32x4.mul(z, sigmoid)), 0);
      v128.store_lane<f32>(dGate + at, gateSlope(z, sigmoid, f32x4.mul(slope, upward)), 0);
    }
  }
}

/** 1 / (1 + e^−z); e^−z is kept below infinity. */
@inline
function sigmoidOf(z: v128): v128 {
  const e = exponential(f32x4.pmin(f32x4.neg(z), largestExponent()));
  return f32x4.div(ones(), f32x4.add(ones(), e));
}

/** slope · σ · (1 + z · (1 − σ)) */
@inline
function gateSlope(z: v128, sigmoid: v128, slope: v128): v128 {
  const one = ones();
  const inner = f32x4.add(one, f32x4.mul(z, f32x4.sub(one, sigmoid)));
  return f32x4.mul(slope, f32x4.mul(sigmoid, inner));
}
