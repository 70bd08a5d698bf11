/**
 * rmsNormGrad: threads share blocks of rows. Each block sums its part of the gains' gradient into a row of scratch
 * space; a second call adds these in order, so that the sum does not depend on the threads.
 */
import { address, float, integer, shareFirst } from "./call";
import { GAIN_ROWS } from "./codes";
import { sumLanes } from "./numbers";

/** Words: x, stride, w, dy, stride, dx, stride, count, columns, epsilon, parts [blocks, columns] (0: not wanted). */
export function rmsNormGrad(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 8));
  const columns = integer(call, 9);
  const parts = address(call, 11);
  const bytes = <usize>columns << 2;
  const blocks = (count + GAIN_ROWS - 1) / GAIN_ROWS;
  const last = shareFirst(blocks, thread + 1, threadCount);
  for (let block = shareFirst(blocks, thread, threadCount); block < last; block++) {
    const part = parts ? parts + <usize>block * bytes : 0;
    if (part) memory.fill(part, 0, bytes);
    const rowLast = min(count, (block + 1) * GAIN_ROWS);
    for (let row = block * GAIN_ROWS; row < rowLast; row++) oneRow(call, row, columns, part);
  }
}

function oneRow(call: usize, row: i32, columns: i32, part: usize): void {
  const x = address(call, 1) + <usize>row * address(call, 2);
  const w = address(call, 3);
  const dy = address(call, 4) + <usize>row * address(call, 5);
  const dx = address(call, 6) + <usize>row * address(call, 7);
  const vectorEnd = (<usize>(columns & ~3)) << 2;
  const end = (<usize>columns) << 2;
  let squareLanes = f32x4.splat(0);
  let productLanes = f32x4.splat(0);
  for (let at: usize = 0; at < vectorEnd; at += 16) {
    const value = v128.load(x + at);
    squareLanes = f32x4.add(squareLanes, f32x4.mul(value, value));
    const gradient = f32x4.mul(v128.load(dy + at), v128.load(w + at));
    productLanes = f32x4.add(productLanes, f32x4.mul(gradient, value));
  }
  let squares = sumLanes(squareLanes);
  let products = sumLanes(productLanes);
  for (let at = vectorEnd; at < end; at += 4) {
    const value = load<f32>(x + at);
    squares += value * value;
    products += load<f32>(dy + at) * load<f32>(w + at) * value;
  }
  const scale: f32 = 1 / sqrt<f32>(squares / <f32>columns + float(call, 10));
  const pull: f32 = (scale * scale * scale * products) / <f32>columns;
  const scales = f32x4.splat(scale);
  const pulls = f32x4.splat(pull);
  for (let at: usize = 0; at < vectorEnd; at += 16) {
    const value = v128.load(x + at);
    const gradient = f32x4.mul(v128.load(dy + at), scales);
    const change = f32x4.sub(f32x4.mul(gradient, v128.load(w + at)), f32x4.mul(value, pulls));
    v128.store(dx + at, f32x4.add(v128.load(dx + at), change));
    if (part) v128.store(part + at, f32x4.add(v128.load(part + at), f32x4.mul(gradient, value)));
  }
  for (let at = vectorEnd; at < end; at += 4) {
    const value = load<f32>(x + at);
    const gradient = load<f32>(dy + at) * scale;
    store<f32>(dx + at, load<f32>(dx + at) + (gradient * load<f32>(w + at) - value * pull));
    if (part) store<f32>(part + at, load<f32>(part + at) + gradient * value);
  }
}

/** Adds the parts to dw; threads share the columns. Words: parts, columns, count, dw. */
export function rmsNormGainGrad(call: usize, thread: i32, threadCount: i32): void {
  const columns = integer(call, 2);
  const blocks = (load<i32>(address(call, 3)) + GAIN_ROWS - 1) / GAIN_ROWS;
  const bytes = <usize>columns << 2;
  const last = shareFirst(columns, thread + 1, threadCount);
  for (let column = shareFirst(columns, thread, threadCount); column < last; column++) {
    let at = address(call, 1) + (<usize>column << 2);
    let sum: f32 = 0;
    for (let block = 0; block < blocks; block++) {
      sum += load<f32>(at);
      at += bytes;
    }
    const to = address(call, 4) + (<usize>column << 2);
    store<f32>(to, load<f32>(to) + sum);
  }
}
