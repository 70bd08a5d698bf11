/**
 * embedGrad: threads share the columns, so that a table row that several tokens add to has one order of sums.
 *
 * Words: dy, stride, tokens, dTable, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";

export function embedGrad(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 6));
  const columns = integer(call, 7);
  const fours = (columns + 3) >> 2;
  const first = <usize>shareFirst(fours, thread, threadCount) << 4;
  const last = <usize>min(columns, shareFirst(fours, thread + 1, threadCount) << 2) << 2;
  for (let row = 0; row < count; row++) {
    const id = load<i32>(address(call, 3) + ((<usize>row) << 2));
    const dy = address(call, 1) + <usize>row * address(call, 2);
    const target = address(call, 4) + <usize>id * address(call, 5);
    let at = first;
    for (; at + 16 <= last; at += 16)
      v128.store(target + at, f32x4.add(v128.load(target + at), v128.load(dy + at)));
    for (; at < last; at += 4) store<f32>(target + at, load<f32>(target + at) + load<f32>(dy + at));
  }
}
