/**
 * Products of matrices of floats in plain order: what training spends its time with. Any strides, so one loop serves the
 * product, its gradient by x (x·W) and its gradient by W (dyᵀ·x).
 *
 *   c[m, n] = start[m, n] + α · Σ over k of a[m, k] · b[n, k]        start: residual, c itself or 0
 *
 * Threads share the longer side. Each copies a block of b into panels of 8 columns and 4 rows of a into a tile, both
 * [k][…], and multiplies tile by panel in registers: for every k 8 multiply-adds of vectors for 6 loads. Sums run over k
 * in ascending order, in blocks of BLOCK_K, whatever the thread count.
 *
 * Words: a, its strides by m and k, b, its strides by n and k, c, stride, start (0: none), stride, address of the count,
 * 1 if k is counted by it and 0 if m is, the other of the two, n, α, scratch, its bytes a thread.
 */
import { address, float, integer, shareFirst } from "./call";
import { multiplyAdd } from "./numbers";

const BLOCK_K = 384;
const BLOCK_N = 192;

export function gemm(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  const other = integer(call, 13);
  const countsK = integer(call, 12) != 0;
  const rows = countsK ? other : count;
  const depth = countsK ? count : other;
  const columns = integer(call, 14);
  const scratch = address(call, 16) + <usize>thread * address(call, 17);
  let mFirst = 0;
  let mLast = rows;
  let nFirst = 0;
  let nLast = columns;
  if (rows >= columns) {
    const tiles = (rows + 3) >> 2;
    mFirst = shareFirst(tiles, thread, threadCount) << 2;
    mLast = min(rows, shareFirst(tiles, thread + 1, threadCount) << 2);
  } else {
    const panels = (columns + 7) >> 3;
    nFirst = shareFirst(panels, thread, threadCount) << 3;
    nLast = min(columns, shareFirst(panels, thread + 1, threadCount) << 3);
  }
  if (mFirst >= mLast) return;
  if (depth == 0) {
    startOnly(call, mFirst, mLast, nFirst, nLast);
    return;
  }
  for (let n = nFirst; n < nLast; n += BLOCK_N) {
    const nEnd = min(nLast, n + BLOCK_N);
    for (let k = 0; k < depth; k += BLOCK_K)
      blockOf(call, mFirst, mLast, n, nEnd, k, min(BLOCK_K, depth - k), scratch);
  }
}

function blockOf(
  call: usize,
  mFirst: i32,
  mLast: i32,
  nFirst: i32,
  nLast: i32,
  k: i32,
  depth: i32,
  scratch: usize,
): void {
  const panels = scratch + 16 * BLOCK_K + 128;
  const panelBytes = (<usize>depth) << 5;
  const b = address(call, 4) + <usize>k * address(call, 6);
  const bStride = address(call, 5);
  for (let n = nFirst; n < nLast; n += 8) {
    const panel = panels + <usize>((n - nFirst) >> 3) * panelBytes;
    const at = b + <usize>n * bStride;
    packFour(at, bStride, address(call, 6), min(4, nLast - n), depth, panel, 32);
    packFour(at + 4 * bStride, bStride, address(call, 6), max(0, min(4, nLast - n - 4)), depth, panel + 16, 32);
  }
  const a = address(call, 1) + <usize>k * address(call, 3);
  const aStride = address(call, 2);
  for (let m = mFirst; m < mLast; m += 4) {
    packFour(a + <usize>m * aStride, aStride, address(call, 3), min(4, mLast - m), depth, scratch, 16);
    for (let n = nFirst; n < nLast; n += 8)
      tile(call, scratch, panels + <usize>((n - nFirst) >> 3) * panelBytes, depth, m, mLast, n, nLast, k == 0);
  }
}

/** Copies up to four items, `stride` apart, to [k][4] with `step` bytes a k; what is missing is 0. */
function packFour(from: usize, stride: usize, kStride: usize, items: i32, depth: i32, to: usize, step: usize): void {
  if (items == 4 && stride == 4) {
    for (let k = 0; k < depth; k++) {
      v128.store(to, v128.load(from));
      from += kStride;
      to += step;
    }
    return;
  }
  let k = 0;
  if (items == 4 && kStride == 4) {
    for (; k + 4 <= depth; k += 4) {
      const r0 = v128.load(from);
      const r1 = v128.load(from + stride);
      const r2 = v128.load(from + 2 * stride);
      const r3 = v128.load(from + 3 * stride);
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
      v128.store(to + step, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
      v128.store(to + 2 * step, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
      v128.store(to + 3 * step, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
      from += 16;
      to += 4 * step;
    }
  }
  for (; k < depth; k++) {
    v128.store(to, f32x4.splat(0));
    for (let item = 0; item < items; item++)
      store<f32>(to + ((<usize>item) << 2), load<f32>(from + <usize>item * stride));
    from += kStride;
    to += step;
  }
}

function tile(
  call: usize,
  a: usize,
  b: usize,
  depth: i32,
  m: i32,
  mLast: i32,
  n: i32,
  nLast: i32,
  first: bool,
): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  const end = b + ((<usize>depth) << 5);
  let x = a;
  for (let at = b; at < end; at += 32) {
    const w0 = v128.load(at);
    const w1 = v128.load(at, 16);
    const x0 = v128.load32_splat(x);
    s00 = multiplyAdd(x0, w0, s00);
    s01 = multiplyAdd(x0, w1, s01);
    const x1 = v128.load32_splat(x, 4);
    s10 = multiplyAdd(x1, w0, s10);
    s11 = multiplyAdd(x1, w1, s11);
    const x2 = v128.load32_splat(x, 8);
    s20 = multiplyAdd(x2, w0, s20);
    s21 = multiplyAdd(x2, w1, s21);
    const x3 = v128.load32_splat(x, 12);
    s30 = multiplyAdd(x3, w0, s30);
    s31 = multiplyAdd(x3, w1, s31);
    x += 16;
  }
  const alpha = v128.load32_splat(call + 4 * 15);
  const stride = address(call, 8);
  const c = address(call, 7) + <usize>m * stride + ((<usize>n) << 2);
  // Later blocks of k add to what the first one left.
  const startStride = first ? address(call, 10) : stride;
  const start = first
    ? address(call, 9) == 0
      ? 0
      : address(call, 9) + <usize>m * startStride + ((<usize>n) << 2)
    : c;
  if (m + 4 <= mLast && n + 8 <= nLast) {
    putRow(c, start, alpha, s00, s01);
    putRow(c + stride, start == 0 ? 0 : start + startStride, alpha, s10, s11);
    putRow(c + 2 * stride, start == 0 ? 0 : start + 2 * startStride, alpha, s20, s21);
    putRow(c + 3 * stride, start == 0 ? 0 : start + 3 * startStride, alpha, s30, s31);
    return;
  }
  // At the edges through scratch space behind the tile of a.
  const sums = a + 16 * BLOCK_K;
  v128.store(sums, s00);
  v128.store(sums, s01, 16);
  v128.store(sums, s10, 32);
  v128.store(sums, s11, 48);
  v128.store(sums, s20, 64);
  v128.store(sums, s21, 80);
  v128.store(sums, s30, 96);
  v128.store(sums, s31, 112);
  const columns = min(8, nLast - n);
  for (let row = 0; row < min(4, mLast - m); row++)
    for (let column = 0; column < columns; column++) {
      const sum = v128.load32_splat(sums + ((<usize>row) << 5) + ((<usize>column) << 2));
      const at = c + <usize>row * stride + ((<usize>column) << 2);
      const before =
        start == 0
          ? f32x4.splat(0)
          : v128.load32_splat(start + <usize>row * startStride + ((<usize>column) << 2));
      v128.store_lane<f32>(at, multiplyAdd(alpha, sum, before), 0);
    }
}

@inline
function putRow(c: usize, start: usize, alpha: v128, lower: v128, upper: v128): void {
  if (start == 0) {
    v128.store(c, f32x4.mul(alpha, lower));
    v128.store(c, f32x4.mul(alpha, upper), 16);
    return;
  }
  v128.store(c, multiplyAdd(alpha, lower, v128.load(start)));
  v128.store(c, multiplyAdd(alpha, upper, v128.load(start, 16)), 16);
}

/** With nothing to sum. */
function startOnly(call: usize, mFirst: i32, mLast: i32, nFirst: i32, nLast: i32): void {
  for (let m = mFirst; m < mLast; m++)
    for (let n = nFirst; n < nLast; n++) {
      const start = address(call, 9);
      const at = (<usize>n) << 2;
      const value: f32 = start == 0 ? 0 : load<f32>(start + <usize>m * address(call, 10) + at);
      store<f32>(address(call, 7) + <usize>m * address(call, 8) + at, value);
    }
}
