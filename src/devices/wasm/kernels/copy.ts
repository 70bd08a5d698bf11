/**
 * copy: threads share the rows of y.
 *
 * Words: x, stride, rows, y, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";

export function copyRows(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 6));
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const source = load<i32>(address(call, 3) + ((<usize>row) << 2));
    memory.copy(
      address(call, 4) + <usize>row * address(call, 5),
      address(call, 1) + <usize>source * address(call, 2),
      (<usize>integer(call, 7)) << 2,
    );
  }
}
