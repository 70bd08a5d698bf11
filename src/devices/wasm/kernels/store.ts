/**
 * store: threads share the rows; each value is rounded to f16.
 *
 * Words: x, stride, cache, stride, positions, sequences, pages, stride, page length, count, key/value heads, head length.
 */
import { address, integer, shareFirst } from "./call";
import { cellOf } from "./cells";
import { floatToHalf } from "./numbers";

export function storeRows(call: usize, thread: i32, threadCount: i32): void {
  const kvHeads = integer(call, 11);
  const headLength = <usize>integer(call, 12);
  const pageLength = integer(call, 9);
  const count = load<i32>(address(call, 10));
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const word = (<usize>row) << 2;
    const sequence = load<i32>(address(call, 6) + word);
    const pages = address(call, 7) + <usize>sequence * address(call, 8);
    const cell = cellOf(pages, pageLength, kvHeads, load<i32>(address(call, 5) + word));
    let x = address(call, 1) + <usize>row * address(call, 2);
    let y = address(call, 3) + <usize>cell * address(call, 4);
    for (let head = 0; head < kvHeads; head++) {
      for (let c: usize = 0; c < headLength; c++)
        store<u16>(y + (c << 1), <u16>floatToHalf(load<f32>(x + (c << 2))));
      x += headLength << 2;
      y += <usize>pageLength * address(call, 4);
    }
  }
}
