/**
 * The formats with blocks of 256 and two levels of scales: Q2_K to Q6_K. A block has one f16 scale (and one for the
 * offsets), and each group of 16 or 32 values a small integer that multiplies it.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (meaning).
 */
import { halfAt } from "../half.ts";
import type { UnpackedRow } from "../unpack.ts";

/**
 * 16 bytes: 4-bit scale (low) and 4-bit offset (high) per group of 16; 64 bytes of 2-bit quants; f16 scale of the
 * scales; f16 scale of the offsets. Value 128·h + 32·j + l lies in bits 2j of byte 32·h + l.
 */
export function unpackQ2K(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const { quants, scales, offsets } = out;
  const scale = halfAt(bytes, byte + 80);
  const offsetScale = halfAt(bytes, byte + 82);
  const group = column >> 4;
  for (let g = 0; g < 16; g++) {
    const pair = bytes[byte + g];
    scales[group + g] = scale * (pair & 15);
    offsets[group + g] = -Math.fround(offsetScale * (pair >> 4));
  }
  for (let c = 0; c < 256; c++) {
    const at = byte + 16 + ((c >> 7) << 5) + (c & 31);
    quants[column + c] = (bytes[at] >> (2 * ((c >> 5) & 3))) & 3;
  }
}

/**
 * 32 bytes of high bits (bit c >> 5 of byte c & 31 for value c; unset means −4), 64 bytes of 2-bit quants as in Q2_K,
 * 12 bytes of 6-bit scales (biased by 32), f16 scale.
 */
export function unpackQ3K(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const { quants, scales, offsets } = out;
  const scale = halfAt(bytes, byte + 108);
  const group = column >> 4;
  const packed = byte + 96;
  for (let g = 0; g < 16; g++) {
    const low = g < 8 ? bytes[packed + g] & 15 : bytes[packed + g - 8] >> 4;
    const high = (bytes[packed + 8 + (g & 3)] >> (2 * (g >> 2))) & 3;
    scales[group + g] = scale * ((low | (high << 4)) - 32);
    offsets[group + g] = 0;
  }
  for (let c = 0; c < 256; c++) {
    const at = byte + 32 + ((c >> 7) << 5) + (c & 31);
    const low = (bytes[at] >> (2 * ((c >> 5) & 3))) & 3;
    const high = (bytes[byte + (c & 31)] >> (c >> 5)) & 1;
    quants[column + c] = low - (high ? 0 : 4);
  }
}

/** Scales and offsets of Q4_K and Q5_K: 8 of each, 6 bits, in 12 bytes after the two f16. */
function unpackSixBitScales(bytes: Uint8Array, byte: number, out: UnpackedRow, group: number): void {
  const scale = halfAt(bytes, byte);
  const offsetScale = halfAt(bytes, byte + 2);
  const packed = byte + 4;
  for (let g = 0; g < 8; g++) {
    const first = bytes[packed + g];
    let factor = first & 63;
    let offset = bytes[packed + g + 4] & 63;
    if (g >= 4) {
      const low = bytes[packed + g + 4];
      factor = (low & 15) | ((bytes[packed + g - 4] >> 6) << 4);
      offset = (low >> 4) | ((first >> 6) << 4);
    }
    out.scales[group + g] = scale * factor;
    out.offsets[group + g] = -Math.fround(offsetScale * offset);
  }
}

/** f16 scale, f16 offset scale, 12 bytes of scales, 128 bytes of nibbles: 32 low halves, then the 32 high halves. */
export function unpackQ4K(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  unpackSixBitScales(bytes, byte, out, column >> 5);
  const { quants } = out;
  for (let part = 0; part < 4; part++) {
    const at = byte + 16 + 32 * part;
    const to = column + 64 * part;
    for (let l = 0; l < 32; l++) {
      quants[to + l] = bytes[at + l] & 15;
      quants[to + 32 + l] = bytes[at + l] >> 4;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits before the nibbles: bit c >> 5 of byte c & 31 for value c. */
export function unpackQ5K(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  unpackSixBitScales(bytes, byte, out, column >> 5);
  const { quants } = out;
  for (let part = 0; part < 4; part++) {
    const at = byte + 48 + 32 * part;
    const to = column + 64 * part;
    for (let l = 0; l < 32; l++) {
      const high = bytes[byte + 16 + l] >> (2 * part);
      quants[to + l] = (bytes[at + l] & 15) | ((high & 1) << 4);
      quants[to + 32 + l] = (bytes[at + l] >> 4) | ((high & 2) << 3);
    }
  }
}

/** 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 int8 scales, f16 scale; quants biased by 32. */
export function unpackQ6K(bytes: Uint8Array, byte: number, out: UnpackedRow, column: number): void {
  const { quants, scales, offsets } = out;
  const scale = halfAt(bytes, byte + 208);
  const group = column >> 4;
  for (let g = 0; g < 16; g++) {
    scales[group + g] = scale * ((bytes[byte + 192 + g] << 24) >> 24);
    offsets[group + g] = 0;
  }
  for (let half = 0; half < 2; half++) {
    const low = byte + 64 * half;
    const high = byte + 128 + 32 * half;
    const to = column + 128 * half;
    for (let l = 0; l < 32; l++) {
      const a = bytes[low + l];
      const b = bytes[low + 32 + l];
      const bits = bytes[high + l];
      quants[to + l] = ((a & 15) | ((bits & 3) << 4)) - 32;
      quants[to + 32 + l] = ((b & 15) | (((bits >> 2) & 3) << 4)) - 32;
      quants[to + 64 + l] = ((a >> 4) | (((bits >> 4) & 3) << 4)) - 32;
      quants[to + 96 + l] = ((b >> 4) | ((bits >> 6) << 4)) - 32;
    }
  }
}
