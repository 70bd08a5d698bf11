/**
 * crossEntropy: threads share the rows. Two passes over a row: its largest logit, then the sum of exponentials, which
 * is kept in double precision because a vocabulary may have 128,000 terms.
 *
 * Words: logits, stride, targets, y, stride, count, columns.
 */
import { address, integer, shareFirst } from "./call";
import { exponential, exponentialOf, largestLane } from "./numbers";

export function crossEntropy(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 6));
  const columns = integer(call, 7);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const logits = address(call, 1) + <usize>row * address(call, 2);
    const target = load<i32>(address(call, 3) + ((<usize>row) << 2));
    const largest = largestOf(logits, columns);
    const chosen = load<f32>(logits + ((<usize>target) << 2)) - largest;
    const y = address(call, 4) + <usize>row * address(call, 5);
    store<f32>(y, <f32>(<f64>chosen - NativeMath.log(exponentialSum(logits, columns, largest))));
  }
}

/** The largest of at least one value. */
export function largestOf(x: usize, columns: i32): f32 {
  let largest: f32 = -Infinity;
  let column = 0;
  if (columns >= 4) {
    let lanes = v128.load(x);
    for (; column + 4 <= columns; column += 4)
      lanes = f32x4.pmax(lanes, v128.load(x + ((<usize>column) << 2)));
    largest = largestLane(lanes);
  }
  for (; column < columns; column++) largest = max(largest, load<f32>(x + ((<usize>column) << 2)));
  return largest;
}

/** Σ e^(x − largest). */
export function exponentialSum(x: usize, columns: i32, largest: f32): f64 {
  const subtracted = f32x4.splat(largest);
  let sums = f64x2.splat(0);
  let column = 0;
  for (; column + 4 <= columns; column += 4) {
    const e = exponential(f32x4.sub(v128.load(x + ((<usize>column) << 2)), subtracted));
    const pairs = f32x4.add(e, v128.shuffle<f32>(e, e, 2, 3, 0, 1));
    sums = f64x2.add(sums, f64x2.promote_low_f32x4(pairs));
  }
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (; column < columns; column++)
    sum += <f64>exponentialOf(load<f32>(x + ((<usize>column) << 2)) - largest);
  return sum;
}
