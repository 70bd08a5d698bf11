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
import { READS_AHEAD, takeOwnPiece } from "./barrier";
import { address, integer, pieceCount, shareFirst } from "./call";
import { FEW_ROWS } from "./codes";
import { groupBytes } from "./formats";
import { multiplyPanels } from "./multiply-panels";
import { multiplyRow } from "./multiply-row";
import { startReadingAhead } from "./read-ahead";

/** Groups of 2,048 columns and 4 bits: 9 KiB each, so they stay in the first cache. */
const CACHED_GROUPS = 2;

export function multiplyPacked(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  if (count == 0) return;
  const groups = (integer(call, 5) + 7) >> 3;
  const pieces = pieceCount(groups, threadCount);
  const ahead = count <= FEW_ROWS && load<i32>(control + READS_AHEAD) != 0 ? address(call, 15) + <usize>thread * address(call, 16) : 0;
  if (ahead) {
    const w = address(call, 3);
    const bytes = groupBytes(integer(call, 4), integer(call, 6));
    const first = shareFirst(groups, thread * pieces, pieces * threadCount);
    const last = shareFirst(groups, (thread + 1) * pieces, pieces * threadCount);
    startReadingAhead(ahead, w + <usize>first * bytes, w + <usize>last * bytes);
  }
  for (;;) {
    const piece = takeOwnPiece(control, thread, threadCount, pieces);
    if (piece < 0) return;
    const first = shareFirst(groups, piece, pieces * threadCount);
    const last = shareFirst(groups, piece + 1, pieces * threadCount);
    if (count > FEW_ROWS) multiplyPanels(call, count, first, last, thread);
    else multiplyFew(call, count, first, last, piece / pieces == thread ? ahead : 0);
  }
}

/**
 * Few tokens: a few groups of weights at a time for one after the other, so that all but the first find them in cache.
 *
 * @param ahead the thread's state of reading ahead (read-ahead.ts), 0 where it does not
 */
function multiplyFew(call: usize, count: i32, first: i32, last: i32, ahead: usize): void {
  for (let group = first; group < last; group += CACHED_GROUPS)
    for (let token = 0; token < count; token++)
      multiplyRow(call, token, group, min(group + CACHED_GROUPS, last), token == 0 ? ahead : 0);
}
