/**
 * matmul with packed weights: threads take pieces of the groups of 8 output rows.
 *
 *   y[t, o] = residual + α · Σ over groups g of scale(w) · scale(x) · Σ q(w) · q(x)  (+ offset(w) · Σ x)
 *
 * One token, or a few: see multiply-row.ts. Several: multiply-panels.ts. Both add the groups in the same order with the same
 * operations, so they give the same bits.
 *
 * Words: records, stride, w, format, rows, columns, y, stride, residual (0: none), stride, count, α, mode, ones
 * (0x01010101), scratch, its bytes a thread, HALF_MASK, HALF_POWER.
 */
import { MANY_STREAMS, takeOwnPiece } from "./barrier";
import { address, integer, pieceCount, shareFirst } from "./call";
import { FEW_ROWS } from "./codes";
import { multiplyPanels } from "./multiply-panels";
import { multiplyRow } from "./multiply-row";

/**
 * Groups that are multiplied side by side, a block of each in turn: a thread reads as many streams of weights. Two share what
 * is read of the token. Some processors read lines of several pages in turn a third faster than as many of one page
 * (docs/log.md), and so are faster with more; which those are is found out by timing (devices/wasm/streams.ts).
 */
const FEW_GROUPS: i32 = 2;
const MANY_GROUPS: i32 = 12;

export function multiplyPacked(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  if (count == 0) return;
  const groups = (integer(call, 5) + 7) >> 3;
  const pieces = pieceCount(groups, threadCount);
  const streams = load<i32>(control + MANY_STREAMS) != 0 ? MANY_GROUPS : FEW_GROUPS;
  for (;;) {
    const piece = takeOwnPiece(control, thread, threadCount, pieces);
    if (piece < 0) return;
    const first = shareFirst(groups, piece, pieces * threadCount);
    const last = shareFirst(groups, piece + 1, pieces * threadCount);
    if (count > FEW_ROWS) multiplyPanels(call, count, first, last, thread);
    else multiplyFew(call, count, first, last, streams, thread);
  }
}

/** Few tokens: some groups of weights at a time for one after the other, so that all but the first find them in cache. */
function multiplyFew(call: usize, count: i32, first: i32, last: i32, streams: i32, thread: i32): void {
  if (first == last) return;
  const scratch = address(call, 15) + <usize>thread * address(call, 16);
  // In equal parts: two left over would be read as two streams.
  const parts = (last - first + streams - 1) / streams;
  const partGroups = (last - first + parts - 1) / parts;
  for (let group = first; group < last; group += partGroups)
    for (let token = 0; token < count; token++)
      multiplyRow(call, token, group, min(group + partGroups, last), scratch);
}
