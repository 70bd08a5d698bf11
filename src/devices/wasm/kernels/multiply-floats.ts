/**
 * matmul with F32, F16 or BF16 weights that lie interleaved: threads take pieces of the groups of 8 output rows.
 *
 * Weights are [column][8 rows]: a column is two vectors, multiplied by one value of x. That is a panel of float-tile.ts
 * too, so many tokens, packed by a call before, go through a group as tiles; halves are widened once for all of them.
 * Few tokens go four at a time, and one alone is bound by memory.
 *
 * Every sum runs over all columns in order, so the bits do not depend on how tokens are put together.
 *
 * Words: x, stride, w, format, rows, columns, y, stride, residual (0: none), stride, count, α, HALF_MASK, HALF_POWER,
 * packed tokens (0: never packed), scratch, its bytes a thread.
 */
import { takeOwnPiece } from "./barrier";
import { address, float, integer, pieceCount, shareFirst } from "./call";
import { BF16, F16, F32, PACKED_TOKENS, TILE_BYTES } from "./codes";
import { gatherSix } from "./float-panels";
import { A_STEP, multiplyEdge, multiplyTile, TILE_COLUMNS, TILE_ROWS } from "./float-tile";
import { groupBytes } from "./formats";
import { finiteHalves, multiplyAdd } from "./numbers";
import { putGroup } from "./put";

/** Tokens as panels of 6, if there are enough. Words: x, stride, panels, count, columns. */
export function packTokens(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 4));
  if (count < PACKED_TOKENS) return;
  const columns = integer(call, 5);
  const tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
  const last = shareFirst(tiles, thread + 1, threadCount);
  for (let tile = shareFirst(tiles, thread, threadCount); tile < last; tile++) {
    const source = address(call, 1) + <usize>(tile * TILE_ROWS) * address(call, 2);
    const rows = min(TILE_ROWS, count - tile * TILE_ROWS);
    const target = address(call, 3) + <usize>tile * A_STEP * <usize>columns;
    gatherSix(source, address(call, 2), rows, columns, target);
  }
}

export function multiplyFloats(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const groups = (integer(call, 5) + 7) >> 3;
  const pieces = pieceCount(groups, threadCount);
  const format = integer(call, 4);
  const packed = address(call, 15) != 0 && load<i32>(address(call, 11)) >= PACKED_TOKENS;
  const scratch = address(call, 16) + <usize>thread * address(call, 17);
  for (;;) {
    const piece = takeOwnPiece(control, thread, threadCount, pieces);
    if (piece < 0) return;
    const first = shareFirst(groups, piece, pieces * threadCount);
    const last = shareFirst(groups, piece + 1, pieces * threadCount);
    if (packed) multiplyPackedTokens(format, call, first, last, scratch);
    else if (format == F32) multiplyOf(F32, call, first, last);
    else if (format == F16) multiplyOf(F16, call, first, last);
    else multiplyOf(BF16, call, first, last);
  }
}

function multiplyPackedTokens(format: i32, call: usize, first: i32, last: i32, scratch: usize): void {
  const count = load<i32>(address(call, 11));
  const columns = integer(call, 6);
  const bytes = groupBytes(format, columns);
  const widened = scratch + TILE_BYTES;
  const stride = address(call, 8);
  const baseStride = address(call, 9) ? address(call, 10) : 0;
  const alpha = float(call, 12);
  for (let group = first; group < last; group++) {
    const w = address(call, 3) + <usize>group * bytes;
    if (format != F32) widen(format, call, w, columns, widened);
    const b = format == F32 ? w : widened;
    const byte = <usize>group << 5;
    const width = min(TILE_COLUMNS, integer(call, 5) - (group << 3));
    let a = address(call, 15);
    for (let token = 0; token < count; token += TILE_ROWS) {
      const c = address(call, 7) + <usize>token * stride + byte;
      const base = address(call, 9) ? address(call, 9) + <usize>token * baseStride + byte : 0;
      const height = min(TILE_ROWS, count - token);
      if (height == TILE_ROWS && width == TILE_COLUMNS)
        multiplyTile(a, b, columns, c, stride, base, baseStride, alpha);
      else multiplyEdge(a, b, columns, c, stride, base, baseStride, alpha, height, width, scratch);
      a += A_STEP * <usize>columns;
    }
  }
}

/** A group of halves as floats. */
function widen(format: i32, call: usize, w: usize, columns: i32, target: usize): void {
  const mask = v128.load32_splat(call + 4 * 13);
  const power = v128.load32_splat(call + 4 * 14);
  const end = target + (<usize>columns << 5);
  for (; target < end; target += 32) {
    v128.store(target, fourRows(format, w, mask, power));
    v128.store(target, fourRows(format, w + 8, mask, power), 16);
    w += 16;
  }
}

@inline
function multiplyOf(format: i32, call: usize, first: i32, last: i32): void {
  const count = load<i32>(address(call, 11));
  const bytes = groupBytes(format, integer(call, 6));
  for (let group = first; group < last; group++) {
    const w = address(call, 3) + <usize>group * bytes;
    let token = 0;
    for (; token + 4 <= count; token += 4) fourTokens(format, call, w, group, token);
    for (; token < count; token++) oneToken(format, call, w, group, token);
  }
}

/** The weights of four rows at one column. */
@inline
export function fourRows(format: i32, at: usize, mask: v128, power: v128): v128 {
  if (format == F32) return v128.load(at);
  if (format == BF16) return i32x4.shl(v128.load16x4_u(at), 16);
  return finiteHalves(at, mask, power);
}

@inline
function oneToken(format: i32, call: usize, w: usize, group: i32, token: i32): void {
  const step: usize = format == F32 ? 32 : 16;
  const mask = v128.load32_splat(call + 4 * 13);
  const power = v128.load32_splat(call + 4 * 14);
  const x = address(call, 1) + <usize>token * address(call, 2);
  const end = x + (<usize>integer(call, 6) << 2);
  let lower = f32x4.splat(0);
  let upper = f32x4.splat(0);
  for (let at = x; at < end; at += 4) {
    const value = v128.load32_splat(at);
    lower = multiplyAdd(value, fourRows(format, w, mask, power), lower);
    upper = multiplyAdd(value, fourRows(format, w + step / 2, mask, power), upper);
    w += step;
  }
  putGroup(call, token, group, lower, upper);
}

@inline
function fourTokens(format: i32, call: usize, w: usize, group: i32, token: i32): void {
  const step: usize = format == F32 ? 32 : 16;
  const mask = v128.load32_splat(call + 4 * 13);
  const power = v128.load32_splat(call + 4 * 14);
  const stride = address(call, 2);
  let x0 = address(call, 1) + <usize>token * stride;
  let x1 = x0 + stride;
  let x2 = x1 + stride;
  let x3 = x2 + stride;
  const end = x0 + (<usize>integer(call, 6) << 2);
  let lower0 = f32x4.splat(0);
  let lower1 = f32x4.splat(0);
  let lower2 = f32x4.splat(0);
  let lower3 = f32x4.splat(0);
  let upper0 = f32x4.splat(0);
  let upper1 = f32x4.splat(0);
  let upper2 = f32x4.splat(0);
  let upper3 = f32x4.splat(0);
  while (x0 < end) {
    const a = fourRows(format, w, mask, power);
    const b = fourRows(format, w + step / 2, mask, power);
    const v0 = v128.load32_splat(x0);
    const v1 = v128.load32_splat(x1);
    const v2 = v128.load32_splat(x2);
    const v3 = v128.load32_splat(x3);
    lower0 = multiplyAdd(v0, a, lower0);
    upper0 = multiplyAdd(v0, b, upper0);
    lower1 = multiplyAdd(v1, a, lower1);
    upper1 = multiplyAdd(v1, b, upper1);
    lower2 = multiplyAdd(v2, a, lower2);
    upper2 = multiplyAdd(v2, b, upper2);
    lower3 = multiplyAdd(v3, a, lower3);
    upper3 = multiplyAdd(v3, b, upper3);
    x0 += 4;
    x1 += 4;
    x2 += 4;
    x3 += 4;
    w += step;
  }
  putGroup(call, token, group, lower0, upper0);
  putGroup(call, token + 1, group, lower1, upper1);
  putGroup(call, token + 2, group, lower2, upper2);
  putGroup(call, token + 3, group, lower3, upper3);
}
