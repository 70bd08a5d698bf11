/**
 * sumSquares: one thread, in double precision. Sharing the rows would make the result depend on the thread count.
 *
 * Words: x, stride, y, rows, columns.
 */
import { address, integer } from "./call";

export function sumSquares(call: usize, thread: i32): void {
  if (thread != 0) return;
  const rows = integer(call, 4);
  const end = (<usize>integer(call, 5)) << 2;
  let sum: f64 = 0;
  for (let row = 0; row < rows; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    for (let at: usize = 0; at < end; at += 4) {
      const value = <f64>load<f32>(x + at);
      sum += value * value;
    }
  }
  const y = address(call, 3);
  store<f32>(y, <f32>(<f64>load<f32>(y) + sum));
}
