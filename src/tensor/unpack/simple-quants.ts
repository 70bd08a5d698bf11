/**
 * The formats with one scale per block of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL.
 *
 * Nibbles: byte j holds value j in its low and value j + 16 in its high half. Q5 formats keep the fifth bit of value j
 * in bit j of a 32-bit word. `_0` formats are symmetric (a bias is subtracted), `_1` formats have an offset.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (meaning).
 */
import { halfAt } from "../half.ts";
import type { UnpackedRow } from "../unpack.ts";

/** f16 scale, 16 bytes of nibbles; bias 8 */
export function unpackQ40(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = 0;
  const { quants } = out;
  for (let j = 0; j < 16; j++) {
    const pair = bytes[byte + 2 + j];
    quants[column + j] = (pair & 15) - 8;
    quants[column + 16 + j] = (pair >> 4) - 8;
  }
}

/** f16 scale, f16 offset, 16 bytes of nibbles */
export function unpackQ41(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = halfAt(bytes, byte + 2);
  const { quants } = out;
  for (let j = 0; j < 16; j++) {
    const pair = bytes[byte + 4 + j];
    quants[column + j] = pair & 15;
    quants[column + 16 + j] = pair >> 4;
  }
}

/** The quants of both Q5 formats: a word of fifth bits at `byte`, then 16 bytes of nibbles. */
function unpackFiveBits(
  bytes: Uint8Array,
  byte: number,
  quants: Int8Array,
  column: number,
  bias: number,
): void {
  const high = bytes[byte] | (bytes[byte + 1] << 8) | (bytes[byte + 2] << 16) | (bytes[byte + 3] << 24);
  for (let j = 0; j < 16; j++) {
    const pair = bytes[byte + 4 + j];
    quants[column + j] = ((pair & 15) | (((high >>> j) & 1) << 4)) - bias;
    quants[column + 16 + j] = ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) - bias;
  }
}

/** f16 scale, fifth bits, nibbles; bias 16 */
export function unpackQ50(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = 0;
  unpackFiveBits(bytes, byte + 2, out.quants, column, 16);
}

/** f16 scale, f16 offset, fifth bits, nibbles */
export function unpackQ51(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = halfAt(bytes, byte + 2);
  unpackFiveBits(bytes, byte + 4, out.quants, column, 0);
}

/** f16 scale, 32 int8 */
export function unpackQ80(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = 0;
  for (let j = 0; j < 32; j++) out.quants[column + j] = bytes[byte + 2 + j];
}

/** The 16 unevenly spaced values that IQ4_NL's nibbles stand for. */
const IQ4_NL_VALUES = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** f16 scale, 16 bytes of nibbles that index a table */
export function unpackIQ4NL(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const group = column >> 5;
  out.scales[group] = halfAt(bytes, byte);
  out.offsets[group] = 0;
  const { quants } = out;
  for (let j = 0; j < 16; j++) {
    const pair = bytes[byte + 2 + j];
    quants[column + j] = IQ4_NL_VALUES[pair & 15];
    quants[column + 16 + j] = IQ4_NL_VALUES[pair >> 4];
  }
}
