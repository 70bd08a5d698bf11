/**
 * rmsNorm: threads share the rows. Sums squares in four lanes, then scales; bound by memory.
 *
 * Words: x, stride, w, y, stride, count, columns, epsilon.
 */
import { address, float, integer, shareFirst } from "./call";
import { sumLanes } from "./numbers";

export function rmsNorm(call: usize, thread: i32, threadCount: i32): void {
  const w = address(call, 3);
  const columns = integer(call, 7);
  const epsilon = float(call, 8);
  const count = load<i32>(address(call, 6));
  const last = shareFirst(count, thread + 1, threadCount);
  const vectorEnd = (<usize>(columns & ~3)) << 2;
  const end = (<usize>columns) << 2;
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const y = address(call, 4) + <usize>row * address(call, 5);
    let squares = f32x4.splat(0);
    for (let at: usize = 0; at < vectorEnd; at += 16) {
      const value = v128.load(x + at);
      squares = f32x4.add(squares, f32x4.mul(value, value));
    }
    let sum = sumLanes(squares);
    for (let at = vectorEnd; at < end; at += 4) sum += load<f32>(x + at) * load<f32>(x + at);
    const scale: f32 = 1 / sqrt<f32>(sum / <f32>columns + epsilon);
    const scales = f32x4.splat(scale);
    for (let at: usize = 0; at < vectorEnd; at += 16)
      v128.store(y + at, f32x4.mul(f32x4.mul(v128.load(x + at), scales), v128.load(w + at)));
    for (let at = vectorEnd; at < end; at += 4)
      store<f32>(y + at, load<f32>(x + at) * scale * load<f32>(w + at));
  }
}
