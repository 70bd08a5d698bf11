/**
 * matmul with F32, F16 or BF16 weights: threads take pieces of the groups of 8 output rows.
 *
 * Weights are interleaved, [column][8 rows]: a column is two vectors, multiplied by one value of x. Tokens go four at a
 * time through a group, so that each weight is loaded (and widened) once for four; one token alone is bound by memory.
 * Every sum runs over the columns in order, so the bits do not depend on how tokens are put together.
 *
 * Words: x, stride, w, format, rows, columns, y, stride, residual (0: none), stride, count, α, HALF_MASK, HALF_POWER.
 */
import { takePiece } from "./barrier";
import { address, integer, pieceCount, shareFirst } from "./call";
import { BF16, F16, F32 } from "./codes";
import { groupBytes } from "./formats";
import { finiteHalves, multiplyAdd } from "./numbers";
import { putGroup } from "./put";

export function multiplyFloats(call: usize, control: usize, threadCount: i32): void {
  const groups = (integer(call, 5) + 7) >> 3;
  const pieces = pieceCount(threadCount);
  const format = integer(call, 4);
  for (let piece = takePiece(control); piece < pieces; piece = takePiece(control)) {
    const first = shareFirst(groups, piece, pieces);
    const last = shareFirst(groups, piece + 1, pieces);
    if (format == F32) multiplyOf(F32, call, first, last);
    else if (format == F16) multiplyOf(F16, call, first, last);
    else multiplyOf(BF16, call, first, last);
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
function fourRows(format: i32, at: usize, mask: v128, power: v128): v128 {
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
