/**
 * adamW: threads share the rows; one pass over four matrices, bound by memory.
 *
 * Words: w, stride, gradient, stride, m, stride, v, stride, settings, rows, columns, beta1, beta2, epsilon, decay.
 */
import { address, float, integer, shareFirst } from "./call";

export function adamW(call: usize, thread: i32, threadCount: i32): void {
  const rows = integer(call, 10);
  const end = (<usize>integer(call, 11)) << 2;
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const w = address(call, 1) + <usize>row * address(call, 2);
    const gradients = address(call, 3) + <usize>row * address(call, 4);
    const means = address(call, 5) + <usize>row * address(call, 6);
    const variances = address(call, 7) + <usize>row * address(call, 8);
    updateRow(call, w, gradients, means, variances, end);
  }
}

function updateRow(call: usize, w: usize, gradients: usize, means: usize, variances: usize, end: usize): void {
  const settings = address(call, 9);
  const rate = v128.load32_splat(settings);
  const clip = v128.load32_splat(settings, 4);
  const correction1 = v128.load32_splat(settings, 8);
  const correction2 = v128.load32_splat(settings, 12);
  const beta1 = v128.load32_splat(call + 4 * 12);
  const beta2 = v128.load32_splat(call + 4 * 13);
  const rest1 = f32x4.splat(1 - float(call, 12));
  const rest2 = f32x4.splat(1 - float(call, 13));
  const epsilon = v128.load32_splat(call + 4 * 14);
  const decay = v128.load32_splat(call + 4 * 15);
  for (let at: usize = 0; at < end; at += 16) {
    // The last vector of a row may have fewer values than lanes.
    const whole = at + 16 <= end;
    const g = f32x4.mul(clip, some(gradients + at, end - at, whole));
    const oldMean = some(means + at, end - at, whole);
    const oldVariance = some(variances + at, end - at, whole);
    const weight = some(w + at, end - at, whole);
    const m = f32x4.add(f32x4.mul(beta1, oldMean), f32x4.mul(rest1, g));
    const v = f32x4.add(f32x4.mul(beta2, oldVariance), f32x4.mul(f32x4.mul(rest2, g), g));
    const size = f32x4.add(f32x4.sqrt(f32x4.div(v, correction2)), epsilon);
    const direction = f32x4.add(f32x4.div(f32x4.div(m, correction1), size), f32x4.mul(decay, weight));
    const updated = f32x4.sub(weight, f32x4.mul(rate, direction));
    putSome(means + at, m, end - at, whole);
    putSome(variances + at, v, end - at, whole);
    putSome(w + at, updated, end - at, whole);
  }
}

/** A vector, or the `bytes` of it that there are. */
@inline
function some(at: usize, bytes: usize, whole: bool): v128 {
  return whole ? v128.load(at) : fewer(at, bytes);
}

function fewer(at: usize, bytes: usize): v128 {
  let x = v128.load32_zero(at);
  if (bytes > 4) x = v128.load_lane<f32>(at, x, 1, 4);
  if (bytes > 8) x = v128.load_lane<f32>(at, x, 2, 8);
  return x;
}

@inline
function putSome(at: usize, x: v128, bytes: usize, whole: bool): void {
  if (whole) v128.store(at, x);
  else putFewer(at, x, bytes);
}

function putFewer(at: usize, x: v128, bytes: usize): void {
  v128.store_lane<f32>(at, x, 0);
  if (bytes > 4) v128.store_lane<f32>(at, x, 1, 4);
  if (bytes > 8) v128.store_lane<f32>(at, x, 2, 8);
}
