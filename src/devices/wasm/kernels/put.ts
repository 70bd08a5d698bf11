/** The end of every product: y = residual + α · sum, for 8 output rows of one token. Words 5 and 7-12 of a product. */
import { address, float, integer } from "./call";

@inline
export function putGroup(call: usize, token: i32, group: i32, lower: v128, upper: v128): void {
  const alpha = f32x4.splat(float(call, 12));
  const byte = <usize>group << 5;
  const y = address(call, 7) + <usize>token * address(call, 8) + byte;
  lower = f32x4.mul(lower, alpha);
  upper = f32x4.mul(upper, alpha);
  const rows = integer(call, 5) - (group << 3);
  const residual = address(call, 9);
  if (rows < 8) return putRows(y, residual ? residual + <usize>token * address(call, 10) + byte : 0, rows, lower, upper);
  if (residual) {
    const r = residual + <usize>token * address(call, 10) + byte;
    lower = f32x4.add(v128.load(r), lower);
    upper = f32x4.add(v128.load(r, 16), upper);
  }
  v128.store(y, lower);
  v128.store(y, upper, 16);
}

/** The last group where the rows are no multiple of 8. */
function putRows(y: usize, residual: usize, rows: i32, lower: v128, upper: v128): void {
  for (let row = 0; row < rows; row++) {
    const byte = <usize>row << 2;
    const product = f32x4.extract_lane(lower, 0);
    store<f32>(y + byte, residual ? load<f32>(residual + byte) + product : product);
    lower = v128.shuffle<i32>(lower, upper, 1, 2, 3, 4);
    upper = v128.shuffle<i32>(upper, upper, 1, 2, 3, 3);
  }
}
