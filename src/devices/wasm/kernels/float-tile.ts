/**
 * The inner loop of every product of floats: a tile of 6 rows × 8 columns from two packed panels (float-panels.ts).
 *
 *   c[m, n] = base[m, n] + α · Σ over k of a[k][m] · b[k][n]      (in order of k; base may be missing)
 *
 * Twelve accumulators, two vectors of b and one value of a fill the sixteen registers that there are. Every address is
 * a pointer plus a constant: a computed one would cost an instruction.
 */
import { multiplyAdd } from "./numbers";

export const TILE_ROWS: i32 = 6;
export const TILE_COLUMNS: i32 = 8;
/** Bytes of one step of k in each panel. */
export const A_STEP: usize = 24;
export const B_STEP: usize = 32;

export function multiplyTile(
  a: usize,
  b: usize,
  depth: i32,
  c: usize,
  stride: usize,
  base: usize,
  baseStride: usize,
  alpha: f32,
): void {
  let lower0 = f32x4.splat(0);
  let lower1 = f32x4.splat(0);
  let lower2 = f32x4.splat(0);
  let lower3 = f32x4.splat(0);
  let lower4 = f32x4.splat(0);
  let lower5 = f32x4.splat(0);
  let upper0 = f32x4.splat(0);
  let upper1 = f32x4.splat(0);
  let upper2 = f32x4.splat(0);
  let upper3 = f32x4.splat(0);
  let upper4 = f32x4.splat(0);
  let upper5 = f32x4.splat(0);
  const end = a + <usize>depth * A_STEP;
  while (a < end) {
    const lower = v128.load(b);
    const upper = v128.load(b, 16);
    let value = v128.load32_splat(a);
    lower0 = multiplyAdd(value, lower, lower0);
    upper0 = multiplyAdd(value, upper, upper0);
    value = v128.load32_splat(a, 4);
    lower1 = multiplyAdd(value, lower, lower1);
    upper1 = multiplyAdd(value, upper, upper1);
    value = v128.load32_splat(a, 8);
    lower2 = multiplyAdd(value, lower, lower2);
    upper2 = multiplyAdd(value, upper, upper2);
    value = v128.load32_splat(a, 12);
    lower3 = multiplyAdd(value, lower, lower3);
    upper3 = multiplyAdd(value, upper, upper3);
    value = v128.load32_splat(a, 16);
    lower4 = multiplyAdd(value, lower, lower4);
    upper4 = multiplyAdd(value, upper, upper4);
    value = v128.load32_splat(a, 20);
    lower5 = multiplyAdd(value, lower, lower5);
    upper5 = multiplyAdd(value, upper, upper5);
    a += A_STEP;
    b += B_STEP;
  }
  putRow(c, base, lower0, upper0, alpha);
  c += stride;
  base += baseStride;
  putRow(c, base, lower1, upper1, alpha);
  c += stride;
  base += baseStride;
  putRow(c, base, lower2, upper2, alpha);
  c += stride;
  base += baseStride;
  putRow(c, base, lower3, upper3, alpha);
  c += stride;
  base += baseStride;
  putRow(c, base, lower4, upper4, alpha);
  c += stride;
  base += baseStride;
  putRow(c, base, lower5, upper5, alpha);
}

/** Without a base, its address and its stride are 0. */
@inline
function putRow(c: usize, base: usize, lower: v128, upper: v128, alpha: f32): void {
  lower = f32x4.mul(lower, f32x4.splat(alpha));
  upper = f32x4.mul(upper, f32x4.splat(alpha));
  if (base) {
    lower = f32x4.add(v128.load(base), lower);
    upper = f32x4.add(v128.load(base, 16), upper);
  }
  v128.store(c, lower);
  v128.store(c, upper, 16);
}

/** The same for the first `rows` and `columns` of a tile, the same bits; `spill` has room for all of it. */
export function multiplyEdge(
  a: usize,
  b: usize,
  depth: i32,
  c: usize,
  stride: usize,
  base: usize,
  baseStride: usize,
  alpha: f32,
  rows: i32,
  columns: i32,
  spill: usize,
): void {
  multiplyTile(a, b, depth, spill, B_STEP, 0, 0, alpha);
  const end = <usize>columns << 2;
  for (let row = 0; row < rows; row++) {
    for (let at: usize = 0; at < end; at += 4) {
      const product = load<f32>(spill + at);
      store<f32>(c + at, base ? load<f32>(base + at) + product : product);
    }
    spill += B_STEP;
    c += stride;
    base += baseStride;
  }
}
