/**
 * store: threads share the rows; each value is rounded to f16.
 *
 * Words: x, stride, cache, stride, positions, sequences, pages, stride, page length, count, columns.
 */
import { address, integer, shareFirst } from "./call";
import { cellOf } from "./cells";
import { floatToHalf } from "./numbers";

export function storeRows(call: usize, thread: i32, threadCount: i32): void {
  const columns = <usize>integer(call, 11);
  const count = load<i32>(address(call, 10));
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const word = (<usize>row) << 2;
    const sequence = load<i32>(address(call, 6) + word);
    const pages = address(call, 7) + <usize>sequence * address(call, 8);
    const cell = cellOf(pages, integer(call, 9), load<i32>(address(call, 5) + word));
    const x = address(call, 1) + <usize>row * address(call, 2);
    const y = address(call, 3) + <usize>cell * address(call, 4);
    for (let column: usize = 0; column < columns; column++)
      store<u16>(y + (column << 1), <u16>floatToHalf(load<f32>(x + (column << 2))));
  }
}
