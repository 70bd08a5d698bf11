/**
 * fill: threads share the rows.
 *
 * Words: y, stride, rows, columns, value.
 */
import { address, float, integer, shareFirst } from "./call";

export function fill(call: usize, thread: i32, threadCount: i32): void {
  const rows = integer(call, 3);
  const end = <usize>integer(call, 4) << 2;
  const value = float(call, 5);
  const values = f32x4.splat(value);
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const y = address(call, 1) + <usize>row * address(call, 2);
    let at: usize = 0;
    for (; at + 16 <= end; at += 16) v128.store(y + at, values);
    for (; at < end; at += 4) store<f32>(y + at, value);
  }
}
