/**
 * adamW: threads share the rows; one pass over four matrices, bound by memory.
 *
 * Words: w, stride, gradient, stride, m, stride, v, stride, settings, rows, columns, beta1, beta2, epsilon, decay.
 */
import { address, float, integer, shareFirst } from "./call";

export function adamW(call: usize, thread: i32, threadCount: i32): void {
  const settings = address(call, 9);
  const rate = load<f32>(settings);
  const clip = load<f32>(settings, 4);
  const correction1 = load<f32>(settings, 8);
  const correction2 = load<f32>(settings, 12);
  const rows = integer(call, 10);
  const end = (<usize>integer(call, 11)) << 2;
  const beta1 = float(call, 12);
  const beta2 = float(call, 13);
  const epsilon = float(call, 14);
  const decay = float(call, 15);
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const w = address(call, 1) + <usize>row * address(call, 2);
    const gradients = address(call, 3) + <usize>row * address(call, 4);
    const means = address(call, 5) + <usize>row * address(call, 6);
    const variances = address(call, 7) + <usize>row * address(call, 8);
    for (let at: usize = 0; at < end; at += 4) {
      const g = clip * load<f32>(gradients + at);
      const m = beta1 * load<f32>(means + at) + (1 - beta1) * g;
      const v = beta2 * load<f32>(variances + at) + (1 - beta2) * g * g;
      store<f32>(means + at, m);
      store<f32>(variances + at, v);
      const direction: f32 = m / correction1 / (sqrt<f32>(v / correction2) + epsilon);
      const weight = load<f32>(w + at);
      store<f32>(w + at, weight - rate * (direction + decay * weight));
    }
  }
}
