/**
 * Packed rows as small integers: every block format of the llama family is, group by group,
 *
 *   value[c] = scale[g] · quant[c] + offset[g],      g = ⌊c / groupLength⌋
 *
 * with quant an int8, and the arithmetic of scale and offset in f32, so that the values are ggml's to the bit.
 *
 * Flow: files (packed rows) → unpackRow (matmul: integer dot products) or dequantizeRow (embed, convert).
 */
import { CriaError } from "../shared/errors.ts";
import { blockBytes, blockLength, type TensorFormat } from "./format.ts";
import { bfloatToFloat, halfAt } from "./half.ts";
import { unpackQ2K, unpackQ3K, unpackQ4K, unpackQ5K, unpackQ6K } from "./unpack/k-quants.ts";
import {
  unpackIQ4NL,
  unpackQ40,
  unpackQ41,
  unpackQ50,
  unpackQ51,
  unpackQ80,
} from "./unpack/simple-quants.ts";

/** One row, unpacked: columns int8 values, and a scale and an offset per group. */
export interface UnpackedRow {
  readonly quants: Int8Array;
  readonly scales: Float32Array;
  readonly offsets: Float32Array;
}

/** Unpacks the block at `byte` into `out`, whose values start at `column`. */
export type UnpackBlock = (bytes: Uint8Array, byte: number, out: UnpackedRow, column: number) => void;

const UNPACKERS: Partial<Record<TensorFormat, UnpackBlock>> = {
  Q4_0: unpackQ40,
  Q4_1: unpackQ41,
  Q5_0: unpackQ50,
  Q5_1: unpackQ51,
  Q8_0: unpackQ80,
  Q2_K: unpackQ2K,
  Q3_K: unpackQ3K,
  Q4_K: unpackQ4K,
  Q5_K: unpackQ5K,
  Q6_K: unpackQ6K,
  IQ4_NL: unpackIQ4NL,
};

/** Formats whose groups have 16 values; the other packed ones have 32. */
const SHORT_GROUPS: ReadonlySet<TensorFormat> = new Set(["Q2_K", "Q3_K", "Q6_K"]);

/** Formats whose offsets are not all 0. */
const WITH_OFFSETS: ReadonlySet<TensorFormat> = new Set(["Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K"]);

/** Values that share a scale in a packed format. */
export function groupLength(format: TensorFormat): 16 | 32 {
  return SHORT_GROUPS.has(format) ? 16 : 32;
}

export function hasOffsets(format: TensorFormat): boolean {
  return WITH_OFFSETS.has(format);
}

/** Room for a row of `columns` values of a packed format. */
export function unpackedRow(format: TensorFormat, columns: number): UnpackedRow {
  const groups = columns / groupLength(format);
  return {
    quants: new Int8Array(columns),
    scales: new Float32Array(groups),
    offsets: new Float32Array(groups),
  };
}

/** Unpacks the row of a packed format that starts at `byteOffset`, which need not be aligned. */
export function unpackRow(
  format: TensorFormat,
  bytes: Uint8Array,
  byteOffset: number,
  columns: number,
  out: UnpackedRow,
): void {
  const unpackBlock = UNPACKERS[format];
  if (!unpackBlock) throw new CriaError("bad-input", `${format} is not a packed format`);
  const length = blockLength(format);
  const size = blockBytes(format);
  for (let column = 0, byte = byteOffset; column < columns; column += length, byte += size)
    unpackBlock(bytes, byte, out, column);
}

/** The block that `dequantizeRow` is at. The longest hold 256 values, in groups of 16 or 32. */
const block: UnpackedRow = unpackedRow("Q6_K", 256);

/** The values of a row of any format but I32, as f32. `byteOffset` need not be aligned. */
export function dequantizeRow(
  format: TensorFormat,
  bytes: Uint8Array,
  byteOffset: number,
  columns: number,
  out: Float32Array,
): void {
  const unpackBlock = UNPACKERS[format];
  if (!unpackBlock) {
    readNumbers(format, bytes, byteOffset, columns, out);
    return;
  }
  const length = blockLength(format);
  const size = blockBytes(format);
  const group = groupLength(format);
  const withOffsets = hasOffsets(format);
  const { quants, scales, offsets } = block;
  for (let column = 0, byte = byteOffset; column < columns; column += length, byte += size) {
    unpackBlock(bytes, byte, block, 0);
    for (let g = 0, first = 0; first < length; g++, first += group) {
      const scale = scales[g];
      const offset = offsets[g];
      const to = column + first;
      // A product has at most 22 bits (11 of an f16, 6 of a scale, 5 of a quant), so it is exact here as in ggml's f32;
      // the sum is rounded once, on its way into `out`. Without an offset −0 stays −0.
      if (withOffsets) for (let i = 0; i < group; i++) out[to + i] = scale * quants[first + i] + offset;
      else for (let i = 0; i < group; i++) out[to + i] = scale * quants[first + i];
    }
  }
}

const wordBytes = new Uint8Array(4);
const wordFloat = new Float32Array(wordBytes.buffer);

function readNumbers(
  format: TensorFormat,
  bytes: Uint8Array,
  byte: number,
  columns: number,
  out: Float32Array,
): void {
  switch (format) {
    case "F32":
      for (let c = 0; c < columns; c++) {
        for (let i = 0; i < 4; i++) wordBytes[i] = bytes[byte + 4 * c + i];
        out[c] = wordFloat[0];
      }
      return;
    case "F16":
      for (let c = 0; c < columns; c++) out[c] = halfAt(bytes, byte + 2 * c);
      return;
    case "BF16":
      for (let c = 0; c < columns; c++)
        out[c] = bfloatToFloat(bytes[byte + 2 * c] | (bytes[byte + 2 * c + 1] << 8));
      return;
    default:
      throw new CriaError("bad-input", `${format} does not hold floats`);
  }
}
