/**
 * Rounds rows of floats to blocks of 32 small integers with a shared scale, to the bit as llama.cpp does.
 *
 *   Q8_0   d = max |x| / 127                    q = round(x / d)                 34 bytes a block
 *   Q4_0   d = x / −8 for the x farthest from 0     q = min(15, ⌊x / d + 8.5⌋)       18 bytes a block
 *
 * Flow: F32 rows (training, convert) → quantizeRow → GGUF.   Source: ggml's quantize_row_q8_0_ref, quantize_row_q4_0_ref.
 */
import { CriaError } from "../shared/errors.ts";
import { rowBytes } from "../tensor/format.ts";
import { floatToHalf } from "../tensor/half.ts";
import { packQ80 } from "../tensor/pack.ts";

const BLOCK = 32;

export const quantizedFormats = ["Q8_0", "Q4_0"] as const;
export type QuantizedFormat = (typeof quantizedFormats)[number];

/**
 * One row as packed bytes, [rowBytes(format, x.length)].
 *
 * @throws {CriaError} "bad-input" when its length is no multiple of 32 or a value is not finite.
 */
export function quantizeRow(format: QuantizedFormat, x: Float32Array): Uint8Array {
  if (x.length % BLOCK !== 0)
    throw new CriaError(
      "bad-input",
      `${format} needs rows of a multiple of ${BLOCK} values, got ${x.length}`,
    );
  if (!x.every(Number.isFinite))
    throw new CriaError("bad-input", `${format}: a weight is not a finite number`);
  const bytes = new Uint8Array(rowBytes(format, x.length));
  const view = new DataView(bytes.buffer);
  const blockBytes = bytes.length / (x.length / BLOCK);
  for (let first = 0, at = 0; first < x.length; first += BLOCK, at += blockBytes) {
    const block = x.subarray(first, first + BLOCK);
    if (format === "Q8_0") packQ80(block, view, at);
    else putQ4(block, view, at);
  }
  return bytes;
}

function putQ4(block: Float32Array, view: DataView, at: number): void {
  let farthest = 0;
  for (const value of block) if (Math.abs(value) > Math.abs(farthest)) farthest = value;
  const scale = Math.fround(farthest / -8);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  view.setUint16(at, floatToHalf(scale), true);
  const quant = (value: number): number =>
    Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)));
  for (let index = 0; index < BLOCK / 2; index++)
    view.setUint8(at + 2 + index, quant(block[index]) | (quant(block[index + BLOCK / 2]) << 4));
}
