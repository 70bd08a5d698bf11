/**
 * dropout: threads share the rows. The hash is that of ops/dropout.ts.
 *
 * Words: x, stride, y, stride, residual (0: none), stride, seed, salt, threshold (unsigned), factor, count, columns.
 */
import { address, float, integer, shareFirst } from "./call";

export function dropout(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  const columns = integer(call, 12);
  const key = (load<u32>(address(call, 7)) ^ (<u32>integer(call, 8) * 0x9e3779b1)) * 747796405;
  const threshold = <u32>integer(call, 9);
  const factor = float(call, 10);
  const residual = address(call, 5);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const y = address(call, 3) + <usize>row * address(call, 4);
    const added = residual == 0 ? 0 : residual + <usize>row * address(call, 6);
    for (let column = 0; column < columns; column++) {
      const at = (<usize>column) << 2;
      const state = key + <u32>(row * columns + column) * 0x85ebca6b;
      const mixed = ((state >> ((state >> 28) + 4)) ^ state) * 277803737;
      const value: f32 = ((mixed >> 22) ^ mixed) >= threshold ? load<f32>(x + at) * factor : 0;
      store<f32>(y + at, value + (added == 0 ? 0 : load<f32>(added + at)));
    }
  }
}
