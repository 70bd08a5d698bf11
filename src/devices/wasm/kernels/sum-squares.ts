/**
 * sumSquares, in double precision and in two calls: threads share the rows, whose sums are then added in order by one of
 * them. So the result does not depend on the threads.
 */
import { address, integer, shareFirst } from "./call";

/** Words: x, stride, sums [rows] in f64, rows, columns. */
export function sumSquaresOfRows(call: usize, thread: i32, threadCount: i32): void {
  const rows = integer(call, 4);
  const end = (<usize>integer(call, 5)) << 2;
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    store<f64>(address(call, 3) + (<usize>row << 3), sumOfRow(x, end));
  }
}

function sumOfRow(x: usize, end: usize): f64 {
  let first = f64x2.splat(0);
  let second = f64x2.splat(0);
  let at: usize = 0;
  for (; at + 16 <= end; at += 16) {
    const value = v128.load(x + at);
    const low = f64x2.promote_low_f32x4(value);
    const high = f64x2.promote_low_f32x4(v128.shuffle<f32>(value, value, 2, 3, 0, 1));
    first = f64x2.add(first, f64x2.mul(low, low));
    second = f64x2.add(second, f64x2.mul(high, high));
  }
  const sums = f64x2.add(first, second);
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (; at < end; at += 4) {
    const value = <f64>load<f32>(x + at);
    sum += value * value;
  }
  return sum;
}

/** Words: sums, y, rows. */
export function addSums(call: usize, thread: i32): void {
  if (thread != 0) return;
  const rows = integer(call, 3);
  let sum: f64 = 0;
  for (let row = 0; row < rows; row++) sum += load<f64>(address(call, 1) + (<usize>row << 3));
  const y = address(call, 2);
  store<f32>(y, <f32>(<f64>load<f32>(y) + sum));
}
