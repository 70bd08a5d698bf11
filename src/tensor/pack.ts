/**
 * Blocks of 32 floats as Q8_0: int8 values and an f16 scale, to the bit as llama.cpp rounds them; but where the scale is
 * smaller than a normal f32, which f16 has as 0, the values are 0 too.
 *
 *   d = max |x| / 127      q = round(x / d), halves away from 0
 *
 * Flow: quantize/ (weights), store (keys and values) → packQ80.   Source: ggml's quantize_row_q8_0_ref.
 */
import { floatToHalf } from "./half.ts";

/** Smallest normal f32: below it 1 / d may be infinite. */
const SMALLEST_SCALE = 2 ** -126;

/** Writes the 34 bytes of a block at byte `at`. */
export function packQ80(block: Float32Array, view: DataView, at: number): void {
  let largest = 0;
  for (const value of block) largest = Math.max(largest, Math.abs(value));
  const scale = Math.fround(largest / 127);
  const inverse = scale < SMALLEST_SCALE ? 0 : Math.fround(1 / scale);
  view.setUint16(at, floatToHalf(scale), true);
  block.forEach((value, index) => {
    view.setInt8(at + 2 + index, roundAwayFromZero(Math.fround(value * inverse)));
  });
}

/** As C's roundf: halves go away from zero. */
function roundAwayFromZero(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}
