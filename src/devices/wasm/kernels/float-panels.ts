/**
 * Panels of floats for the tiles of float-tile.ts: 6 (a) or 8 (b) values for each step k, steps one after the other, so
 * that a tile reads two contiguous streams.
 *
 *   gather   the panel's values are rows of the source, its steps their columns (x of x·Wᵀ)
 *   copy     the panel's values are columns of the source, its steps their rows (W of x·W)
 *
 * Values beyond those that there are become 0.
 */
import { A_STEP, B_STEP } from "./float-tile";

/** Rows at `source` as a panel of 6; `rows` of them exist. */
export function gatherSix(source: usize, stride: usize, rows: i32, depth: i32, target: usize): void {
  if (rows < 6) return gatherFew(source, stride, rows, depth, target, A_STEP);
  const third = source + 2 * stride;
  const fifth = source + 4 * stride;
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    const at = <usize>k << 2;
    const r0 = v128.load(source + at);
    const r1 = v128.load(source + stride + at);
    const r2 = v128.load(third + at);
    const r3 = v128.load(third + stride + at);
    const r4 = v128.load(fifth + at);
    const r5 = v128.load(fifth + stride + at);
    const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
    const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    const e = v128.shuffle<i32>(r4, r5, 0, 4, 1, 5);
    const f = v128.shuffle<i32>(r4, r5, 2, 6, 3, 7);
    v128.store(target, v128.shuffle<i32>(a, b, 0, 1, 4, 5));
    v128.store64_lane(target, e, 0, 16);
    v128.store(target, v128.shuffle<i32>(a, b, 2, 3, 6, 7), 24);
    v128.store64_lane(target, e, 1, 40);
    v128.store(target, v128.shuffle<i32>(c, d, 0, 1, 4, 5), 48);
    v128.store64_lane(target, f, 0, 64);
    v128.store(target, v128.shuffle<i32>(c, d, 2, 3, 6, 7), 72);
    v128.store64_lane(target, f, 1, 88);
    target += 4 * A_STEP;
  }
  gatherFew(source + (<usize>k << 2), stride, 6, depth - k, target, A_STEP);
}

/** Rows at `source` as a panel of 8; `rows` of them exist. */
export function gatherEight(source: usize, stride: usize, rows: i32, depth: i32, target: usize): void {
  if (rows < 8) return gatherFew(source, stride, rows, depth, target, B_STEP);
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    const at = source + (<usize>k << 2);
    gatherFour(at, stride, target);
    gatherFour(at + 4 * stride, stride, target + 16);
    target += 4 * B_STEP;
  }
  gatherFew(source + (<usize>k << 2), stride, 8, depth - k, target, B_STEP);
}

/** Four columns of four rows, turned: a vector of rows for each column. */
@inline
function gatherFour(source: usize, stride: usize, target: usize): void {
  const third = source + 2 * stride;
  const r0 = v128.load(source);
  const r1 = v128.load(source + stride);
  const r2 = v128.load(third);
  const r3 = v128.load(third + stride);
  const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i32>(a, b, 0, 1, 4, 5));
  v128.store(target, v128.shuffle<i32>(a, b, 2, 3, 6, 7), B_STEP);
  v128.store(target, v128.shuffle<i32>(c, d, 0, 1, 4, 5), 2 * B_STEP);
  v128.store(target, v128.shuffle<i32>(c, d, 2, 3, 6, 7), 3 * B_STEP);
}

/** The same value by value, for edges. */
function gatherFew(source: usize, stride: usize, rows: i32, depth: i32, target: usize, step: usize): void {
  const width = <i32>(step >> 2);
  for (let k = 0; k < depth; k++) {
    for (let row = 0; row < width; row++) {
      const value: f32 = row < rows ? load<f32>(source + <usize>row * stride + (<usize>k << 2)) : 0;
      store<f32>(target + (<usize>row << 2), value);
    }
    target += step;
  }
}

/** Columns at `source` as a panel of 6; `columns` of them exist. */
export function copySix(source: usize, stride: usize, columns: i32, depth: i32, target: usize): void {
  if (columns < 6) return copyFew(source, stride, columns, depth, target, A_STEP);
  for (let k = 0; k < depth; k++) {
    v128.store(target, v128.load(source));
    store<u64>(target, load<u64>(source, 16), 16);
    source += stride;
    target += A_STEP;
  }
}

/** Columns at `source` as a panel of 8; `columns` of them exist. */
export function copyEight(source: usize, stride: usize, columns: i32, depth: i32, target: usize): void {
  if (columns < 8) return copyFew(source, stride, columns, depth, target, B_STEP);
  for (let k = 0; k < depth; k++) {
    v128.store(target, v128.load(source));
    v128.store(target, v128.load(source, 16), 16);
    source += stride;
    target += B_STEP;
  }
}

function copyFew(source: usize, stride: usize, columns: i32, depth: i32, target: usize, step: usize): void {
  const width = <i32>(step >> 2);
  for (let k = 0; k < depth; k++) {
    for (let column = 0; column < width; column++) {
      const value: f32 = column < columns ? load<f32>(source + (<usize>column << 2)) : 0;
      store<f32>(target + (<usize>column << 2), value);
    }
    source += stride;
    target += step;
  }
}

/**
 * The other way: a panel of 8 with `depth` steps back to `rows` rows of `depth` columns, a multiple of 4. Row r is
 * multiplied by factors[r].
 */
export function spreadEight(
  panel: usize,
  depth: i32,
  rows: i32,
  target: usize,
  stride: usize,
  lower: v128,
  upper: v128,
): void {
  const end = <usize>depth << 2;
  for (let at: usize = 0; at < end; at += 16) {
    spreadFour(panel, lower, min(4, rows), target + at, stride);
    if (rows > 4) spreadFour(panel + 16, upper, rows - 4, target + 4 * stride + at, stride);
    panel += 4 * B_STEP;
  }
}

@inline
function spreadFour(panel: usize, factors: v128, rows: i32, target: usize, stride: usize): void {
  const c0 = f32x4.mul(v128.load(panel), factors);
  const c1 = f32x4.mul(v128.load(panel, B_STEP), factors);
  const c2 = f32x4.mul(v128.load(panel, 2 * B_STEP), factors);
  const c3 = f32x4.mul(v128.load(panel, 3 * B_STEP), factors);
  const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
  const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i32>(a, b, 0, 1, 4, 5));
  if (rows > 1) v128.store(target + stride, v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  if (rows > 2) v128.store(target + 2 * stride, v128.shuffle<i32>(c, d, 0, 1, 4, 5));
  if (rows > 3) v128.store(target + 3 * stride, v128.shuffle<i32>(c, d, 2, 3, 6, 7));
}
