/**
 * rmsNormGrad in two calls: by x, where threads share the rows and keep each row's scale; then by w, where threads share
 * the columns and add the rows in order.
 *
 * Words of both: x, stride, w, dy, stride, dx, stride, dw (0: none), count, columns, epsilon, scales (scratch, 4 bytes a
 * row).
 */
import { address, float, integer, shareFirst } from "./call";
import { multiplyAdd, sumLanes } from "./numbers";

export function rmsNormGrad(call: usize, thread: i32, threadCount: i32): void {
  const w = address(call, 3);
  const columns = integer(call, 10);
  const count = load<i32>(address(call, 9));
  const vectorEnd = (<usize>(columns & ~3)) << 2;
  const end = (<usize>columns) << 2;
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const dy = address(call, 4) + <usize>row * address(call, 5);
    const dx = address(call, 6) + <usize>row * address(call, 7);
    let squareLanes = f32x4.splat(0);
    let productLanes = f32x4.splat(0);
    for (let at: usize = 0; at < vectorEnd; at += 16) {
      const value = v128.load(x + at);
      squareLanes = multiplyAdd(value, value, squareLanes);
      productLanes = multiplyAdd(f32x4.mul(v128.load(dy + at), v128.load(w + at)), value, productLanes);
    }
    let squares = sumLanes(squareLanes);
    let products = sumLanes(productLanes);
    for (let at = vectorEnd; at < end; at += 4) {
      const value = load<f32>(x + at);
      squares += value * value;
      products += load<f32>(dy + at) * load<f32>(w + at) * value;
    }
    const scale: f32 = 1 / sqrt<f32>(squares / <f32>columns + float(call, 11));
    const pull: f32 = (scale * scale * scale * products) / <f32>columns;
    store<f32>(address(call, 12) + ((<usize>row) << 2), scale);
    const scales = f32x4.splat(scale);
    const pulls = f32x4.splat(-pull);
    for (let at: usize = 0; at < vectorEnd; at += 16) {
      const gradient = f32x4.mul(f32x4.mul(v128.load(dy + at), v128.load(w + at)), scales);
      v128.store(dx + at, f32x4.add(v128.load(dx + at), multiplyAdd(pulls, v128.load(x + at), gradient)));
    }
    for (let at = vectorEnd; at < end; at += 4) {
      const gradient: f32 = scale * load<f32>(dy + at) * load<f32>(w + at) - pull * load<f32>(x + at);
      store<f32>(dx + at, load<f32>(dx + at) + gradient);
    }
  }
}

export function rmsNormGainGrad(call: usize, thread: i32, threadCount: i32): void {
  const dw = address(call, 8);
  const columns = integer(call, 10);
  const count = load<i32>(address(call, 9));
  const scales = address(call, 12);
  const last = shareFirst(columns, thread + 1, threadCount);
  let column = shareFirst(columns, thread, threadCount);
  for (; column < last; column += 4) {
    const lanes = min(4, last - column);
    const at = (<usize>column) << 2;
    let sums = f32x4.splat(0);
    for (let row = 0; row < count; row++) {
      const x = address(call, 1) + <usize>row * address(call, 2) + at;
      const dy = address(call, 4) + <usize>row * address(call, 5) + at;
      const scale = v128.load32_splat(scales + ((<usize>row) << 2));
      sums = f32x4.add(sums, f32x4.mul(f32x4.mul(fourOf(x, lanes), fourOf(dy, lanes)), scale));
    }
    for (let lane = 0; lane < lanes; lane++) {
      const target = dw + at + ((<usize>lane) << 2);
      store<f32>(target, load<f32>(target) + laneOf(sums, lane));
    }
  }
}

/** Up to four values; what lies behind a row's end is not read. */
@inline
function fourOf(at: usize, lanes: i32): v128 {
  if (lanes == 4) return v128.load(at);
  let values = v128.load32_zero(at);
  if (lanes > 1) values = f32x4.replace_lane(values, 1, load<f32>(at, 4));
  if (lanes > 2) values = f32x4.replace_lane(values, 2, load<f32>(at, 8));
  return values;
}

@inline
function laneOf(values: v128, lane: i32): f32 {
  if (lane == 0) return f32x4.extract_lane(values, 0);
  if (lane == 1) return f32x4.extract_lane(values, 1);
  if (lane == 2) return f32x4.extract_lane(values, 2);
  return f32x4.extract_lane(values, 3);
}
