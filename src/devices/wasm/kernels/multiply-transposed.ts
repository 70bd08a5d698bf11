/**
 * matmul with W instead of Wᵀ, for gradients: y[t, i] = residual + α · Σ over o of x[t, o] · w[o, i], in any format.
 *
 * Threads share blocks of 32 columns of W. Each is dequantized 8 rows at a time and added to every token's outputs,
 * rows in order.
 *
 * Words: x, stride, w, format, rows, columns, y, stride, residual (0: none), stride, count, α, -, ones (0x01010101),
 * scratch, its bytes a thread.
 */
import { address, float, integer, shareFirst } from "./call";
import { dequantizeBlock } from "./dequantize";
import { groupBytes } from "./formats";

export function multiplyTransposed(call: usize, thread: i32, threadCount: i32): void {
  const format = integer(call, 4);
  const rows = integer(call, 5);
  const columns = integer(call, 6);
  const count = load<i32>(address(call, 11));
  const ones = v128.load32_splat(call + 4 * 14);
  const scratch = address(call, 15) + <usize>thread * address(call, 16);
  const blocks = (columns + 31) >> 5;
  const last = shareFirst(blocks, thread + 1, threadCount);
  for (let block = shareFirst(blocks, thread, threadCount); block < last; block++) {
    const length = min(32, columns - (block << 5));
    for (let t = 0; t < count; t++) start(call, t, block, length);
    for (let row = 0; row < rows; row += 8) {
      const w = address(call, 3) + <usize>(row >> 3) * groupBytes(format, columns);
      dequantizeBlock(format, w, columns, block, scratch, ones);
      for (let t = 0; t < count; t++) addRows(call, t, block, length, row, min(8, rows - row), scratch);
    }
  }
}

/** y = residual, or 0. */
function start(call: usize, token: i32, block: i32, length: i32): void {
  const byte = (<usize>block) << 7;
  const y = address(call, 7) + <usize>token * address(call, 8) + byte;
  const residual = address(call, 9);
  if (residual) memory.copy(y, residual + <usize>token * address(call, 10) + byte, (<usize>length) << 2);
  else memory.fill(y, 0, (<usize>length) << 2);
}

/** y += α · x[row …] · w, for the rows of a group. */
function addRows(call: usize, token: i32, block: i32, length: i32, rowFirst: i32, rows: i32, w: usize): void {
  const alpha = float(call, 12);
  const x = address(call, 1) + <usize>token * address(call, 2) + ((<usize>rowFirst) << 2);
  const y = address(call, 7) + <usize>token * address(call, 8) + ((<usize>block) << 7);
  for (let row = 0; row < rows; row++) {
    const factor = alpha * load<f32>(x + ((<usize>row) << 2));
    const weights = w + ((<usize>row) << 7);
    for (let c: usize = 0; c < (<usize>length) << 2; c += 4)
      store<f32>(y + c, load<f32>(y + c) + factor * load<f32>(weights + c));
  }
}
