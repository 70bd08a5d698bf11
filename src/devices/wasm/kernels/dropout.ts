/**
 * dropout: threads share the rows. The hash is that of ops/dropout.ts.
 *
 * Words: x, stride, y, stride, residual (0: none), stride, seed, salt, threshold (unsigned), factor, count, columns.
 */
import { address, float, integer, shareFirst } from "./call";

/** What the hash multiplies the index and the mixed bits with. */
const STEP: u32 = 0x85ebca6b;
const MULTIPLIER: u32 = 277803737;

export function dropout(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 11));
  const columns = integer(call, 12);
  const key = (load<u32>(address(call, 7)) ^ (<u32>integer(call, 8) * 0x9e3779b1)) * 747796405;
  const threshold = <u32>integer(call, 9);
  const factor = float(call, 10);
  const residual = address(call, 5);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const y = address(call, 3) + <usize>row * address(call, 4);
    const added = residual == 0 ? 0 : residual + <usize>row * address(call, 6);
    const first = key + <u32>(row * columns) * STEP;
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      const at = (<usize>column) << 2;
      const states = i32x4.add(i32x4.splat(first + <u32>column * STEP), i32x4(0, STEP, STEP * 2, STEP * 3));
      const kept = i32x4.ge_u(mixedLanes(states), i32x4.splat(threshold));
      const value = v128.and(f32x4.mul(v128.load(x + at), f32x4.splat(factor)), kept);
      v128.store(y + at, added == 0 ? value : f32x4.add(value, v128.load(added + at)));
    }
    for (; column < columns; column++) {
      const at = (<usize>column) << 2;
      const kept = mixed(first + <u32>column * STEP) >= threshold;
      const value: f32 = kept ? load<f32>(x + at) * factor : 0;
      store<f32>(y + at, added == 0 ? value : value + load<f32>(added + at));
    }
  }
}

@inline
function mixed(state: u32): u32 {
  const word = ((state >> ((state >> 28) + 4)) ^ state) * MULTIPLIER;
  return (word >> 22) ^ word;
}

/** The same in four lanes, where a shift by 4 + n is made of shifts by 4 and by the powers of two in n. */
@inline
function mixedLanes(states: v128): v128 {
  let shifted = i32x4.shr_u(states, 4);
  shifted = v128.bitselect(i32x4.shr_u(shifted, 8), shifted, i32x4.shr_s(states, 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 4), shifted, i32x4.shr_s(i32x4.shl(states, 1), 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 2), shifted, i32x4.shr_s(i32x4.shl(states, 2), 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 1), shifted, i32x4.shr_s(i32x4.shl(states, 3), 31));
  const words = i32x4.mul(v128.xor(shifted, states), i32x4.splat(MULTIPLIER));
  return v128.xor(i32x4.shr_u(words, 22), words);
}
