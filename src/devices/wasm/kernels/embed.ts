/**
 * embed: threads share the rows. The table is interleaved, so a row is picked out of a group of 8.
 *
 * Words: table, format, columns, tokens, y, stride, count, ones (0x01010101), scratch, its bytes a thread.
 */
import { address, integer, shareFirst } from "./call";
import { dequantizeBlock } from "./dequantize";
import { groupBytes } from "./formats";

export function embed(call: usize, thread: i32, threadCount: i32): void {
  const format = integer(call, 2);
  const columns = integer(call, 3);
  const count = load<i32>(address(call, 7));
  const ones = v128.load32_splat(call + 4 * 8);
  const scratch = address(call, 9) + <usize>thread * address(call, 10);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const token = load<i32>(address(call, 4) + ((<usize>row) << 2));
    const group = address(call, 1) + <usize>(token >> 3) * groupBytes(format, columns);
    const y = address(call, 5) + <usize>row * address(call, 6);
    rowOfGroup(format, group, token & 7, columns, y, scratch, ones);
  }
}

/** One row of a group as f32. */
export function rowOfGroup(
  format: i32,
  group: usize,
  row: i32,
  columns: i32,
  y: usize,
  scratch: usize,
  ones: v128,
): void {
  for (let block = 0; block << 5 < columns; block++) {
    dequantizeBlock(format, group, columns, block, scratch, ones);
    const length = min(32, columns - (block << 5));
    memory.copy(y + ((<usize>block) << 7), scratch + ((<usize>row) << 7), (<usize>length) << 2);
  }
}
