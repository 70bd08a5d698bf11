/**
 * swiglu: threads share the columns of every row, so that one token keeps them all busy.
 *
 * Words: gate, stride, up, stride, y, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";
import { exponential, largestExponent, ones } from "./numbers";

export function swiglu(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 7));
  const columns = integer(call, 8);
  // In steps of four columns, except for the last ones: which columns share a vector depends on no thread count.
  const fours = (columns + 3) >> 2;
  const first = shareFirst(fours, thread, threadCount) << 2;
  const last = min(columns, shareFirst(fours, thread + 1, threadCount) << 2);
  for (let row = 0; row < count; row++) {
    const gate = address(call, 1) + <usize>row * address(call, 2);
    const up = address(call, 3) + <usize>row * address(call, 4);
    const y = address(call, 5) + <usize>row * address(call, 6);
    let column = first;
    for (; column + 4 <= last; column += 4) {
      const at = <usize>column << 2;
      v128.store(y + at, gated(v128.load(gate + at), v128.load(up + at)));
    }
    for (; column < last; column++) {
      const at = <usize>column << 2;
      v128.store_lane<f32>(y + at, gated(v128.load32_splat(gate + at), v128.load32_splat(up + at)), 0);
    }
  }
}

/** z / (1 + e^−z) · up; e^−z is kept below infinity. */
@inline
function gated(z: v128, up: v128): v128 {
  const e = exponential(f32x4.pmin(f32x4.neg(z), largestExponent()));
  return f32x4.mul(f32x4.div(z, f32x4.add(ones(), e)), up);
}
