/** convert: threads share the rows. */
import { address, integer, shareFirst } from "./call";
import { rowOfGroup } from "./embed";
import { groupBytes } from "./formats";
import { floatToHalf } from "./numbers";

/** Interleaved weights to F32. Words: x, format, rows, columns, y, stride, ones (0x01010101), scratch, bytes a thread. */
export function convert(call: usize, thread: i32, threadCount: i32): void {
  const format = integer(call, 2);
  const rows = integer(call, 3);
  const columns = integer(call, 4);
  const ones = v128.load32_splat(call + 4 * 7);
  const scratch = address(call, 8) + <usize>thread * address(call, 9);
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const group = address(call, 1) + <usize>(row >> 3) * groupBytes(format, columns);
    rowOfGroup(
      format,
      group,
      row & 7,
      columns,
      address(call, 5) + <usize>row * address(call, 6),
      scratch,
      ones,
    );
  }
}

/** F32 to F16. Words: x, stride, y, stride, rows, columns. */
export function narrow(call: usize, thread: i32, threadCount: i32): void {
  const rows = integer(call, 5);
  const columns = <usize>integer(call, 6);
  const last = shareFirst(rows, thread + 1, threadCount);
  for (let row = shareFirst(rows, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const y = address(call, 3) + <usize>row * address(call, 4);
    for (let column: usize = 0; column < columns; column++)
      store<u16>(y + (column << 1), <u16>floatToHalf(load<f32>(x + (column << 2))));
  }
}
