/**
 * crossEntropyGrad: threads share the rows; may run in place.
 *
 * Words: logits, stride, targets, seeds, stride, dLogits, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";
import { exponentialSum, largestOf } from "./cross-entropy";
import { exponential } from "./numbers";

export function crossEntropyGrad(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 8));
  const columns = integer(call, 9);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const logits = address(call, 1) + <usize>row * address(call, 2);
    const target = load<i32>(address(call, 3) + ((<usize>row) << 2));
    const seed = load<f32>(address(call, 4) + <usize>row * address(call, 5));
    const out = address(call, 6) + <usize>row * address(call, 7);
    if (seed == 0) {
      memory.fill(out, 0, (<usize>columns) << 2);
      continue;
    }
    const largest = largestOf(logits, columns);
    const factor = f32x4.splat(<f32>(-(<f64>seed) / exponentialSum(logits, columns, largest)));
    const subtracted = f32x4.splat(largest);
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      const at = (<usize>column) << 2;
      v128.store(out + at, f32x4.mul(factor, exponential(f32x4.sub(v128.load(logits + at), subtracted))));
    }
    for (; column < columns; column++) {
      const at = (<usize>column) << 2;
      const e = exponential(f32x4.sub(v128.load32_splat(logits + at), subtracted));
      v128.store_lane<f32>(out + at, f32x4.mul(factor, e), 0);
    }
    const chosen = out + ((<usize>target) << 2);
    store<f32>(chosen, load<f32>(chosen) + seed);
  }
}
