/**
 * fill: threads share the rows.
 *
 * Words: y, stride, rows, columns, value.
 */
import { address, float, integer, shareFirst } from "./call";

export function fill(call: usize, thread: i32, threadCount: i32): void {
  const rows = integer(call, 3);
  const columns = <usize>integer(call, 4);
  const value = float(call, 5);
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const y = address(call, 1) + <usize>row * address(call, 2);
    for (let column: usize = 0; column < columns; column++) store<f32>(y + (column << 2), value);
  }
}
