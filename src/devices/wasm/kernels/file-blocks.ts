/**
 * Blocks of the packed formats as they lie in files (ggml's layouts; tensor/unpack says the same in TypeScript): 32
 * quants at a time as unsigned bytes, and the scales and offsets of a group.
 */
import { IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0 } from "./codes";

/** Bytes of a block in the file. */
@inline
export function fileBlockBytes(format: i32): usize {
  switch (format) {
    case Q4_1:
      return 20;
    case Q5_0:
      return 22;
    case Q5_1:
      return 24;
    case Q8_0:
      return 34;
    case Q2_K:
      return 84;
    case Q3_K:
      return 110;
    case Q4_K:
      return 144;
    case Q5_K:
      return 176;
    case Q6_K:
      return 210;
  }
  return 18; // Q4_0, IQ4_NL
}

/** Byte of the block's f16 scale. */
@inline
export function fileScaleAt(format: i32): usize {
  if (format == Q2_K) return 80;
  if (format == Q3_K) return 108;
  return format == Q6_K ? 208 : 0;
}

/** Quants 32·part … 32·part + 31 of the block at `at`, made unsigned by the format's bias, to 32 bytes at `out`. */
@inline
export function fileQuants(format: i32, at: usize, part: i32, out: usize): void {
  switch (format) {
    case Q4_0:
    case IQ4_NL:
      return nibbleHalves(at + 2, out);
    case Q4_1:
      return nibbleHalves(at + 4, out);
    case Q5_0:
      nibbleHalves(at + 6, out);
      return addFifthBits(load<u32>(at + 2), out);
    case Q5_1:
      nibbleHalves(at + 8, out);
      return addFifthBits(load<u32>(at + 4), out);
    case Q8_0:
      v128.store(out, v128.xor(v128.load(at + 2), i8x16.splat(-128)));
      v128.store(out, v128.xor(v128.load(at + 18), i8x16.splat(-128)), 16);
      return;
    case Q2_K:
      return putBits(at + 16 + 32 * <usize>(part >> 2), 2 * (part & 3), 3, 0, out, false);
    case Q3_K:
      putBits(at + 32 + 32 * <usize>(part >> 2), 2 * (part & 3), 3, 0, out, false);
      return putBits(at, part, 1, 2, out, true);
    case Q4_K:
      return putBits(at + 16 + 32 * <usize>(part >> 1), 4 * (part & 1), 15, 0, out, false);
    case Q5_K:
      putBits(at + 48 + 32 * <usize>(part >> 1), 4 * (part & 1), 15, 0, out, false);
      return putBits(at + 16, part, 1, 4, out, true);
    case Q6_K:
      putBits(at + 64 * <usize>(part >> 2) + 32 * <usize>(part & 1), part & 2 ? 4 : 0, 15, 0, out, false);
      return putBits(at + 128 + 32 * <usize>(part >> 2), 2 * (part & 3), 3, 4, out, true);
  }
}

/** 16 bytes of nibbles: the low halves, then the high ones. */
@inline
function nibbleHalves(at: usize, out: usize): void {
  const bytes = v128.load(at);
  v128.store(out, v128.and(bytes, i8x16.splat(15)));
  v128.store(out, i8x16.shr_u(bytes, 4), 16);
}

/** Bit c to bit 4 of byte c. */
@inline
function addFifthBits(bits: u32, out: usize): void {
  const all = i32x4.splat(bits);
  addFifthBitsOf(v128.shuffle<i8>(all, all, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), out);
  addFifthBitsOf(v128.shuffle<i8>(all, all, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3), out + 16);
}

/** The same for 16 bytes, each of which has all the 8 bits that its own is among. */
@inline
function addFifthBitsOf(bits: v128, out: usize): void {
  const place = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const fifth = v128.and(i8x16.eq(v128.and(bits, place), place), i8x16.splat(16));
  v128.store(out, v128.or(v128.load(out), fifth));
}

/** 32 bytes: the bits at `shift`, `mask` wide, moved to `place`; put beside what is at `out` or over it. */
@inline
function putBits(at: usize, shift: i32, mask: i32, place: i32, out: usize, beside: bool): void {
  for (let byte: usize = 0; byte < 32; byte += 16) {
    const bits = v128.and(i8x16.shr_u(v128.load(at + byte), shift), i8x16.splat(<i8>mask));
    const placed = i8x16.shl(bits, place);
    v128.store(out + byte, beside ? v128.or(v128.load(out + byte), placed) : placed);
  }
}

/** The small integer that scales a group of 16 or 32 in a K format. */
@inline
export function fileGroupScale(format: i32, at: usize, group: i32): i32 {
  const g = <usize>group;
  switch (format) {
    case Q2_K:
      return load<u8>(at + g) & 15;
    case Q3_K: {
      const packed = at + 96;
      const low = group < 8 ? load<u8>(packed + g) & 15 : load<u8>(packed + g - 8) >> 4;
      const high = (load<u8>(packed + 8 + (g & 3)) >> (2 * (<u8>group >> 2))) & 3;
      return (<i32>low | (<i32>high << 4)) - 32;
    }
    case Q6_K:
      return load<i8>(at + 192 + g);
  }
  // Q4_K, Q5_K: 6 bits, the last four in pieces.
  if (group < 4) return load<u8>(at + 4 + g) & 63;
  return (load<u8>(at + 8 + g) & 15) | ((load<u8>(at + g) >> 6) << 4);
}

/** The same for the group's offset. */
@inline
export function fileGroupOffset(format: i32, at: usize, group: i32): i32 {
  const g = <usize>group;
  if (format == Q2_K) return load<u8>(at + g) >> 4;
  if (group < 4) return load<u8>(at + 8 + g) & 63;
  return (load<u8>(at + 8 + g) >> 4) | ((load<u8>(at + 4 + g) >> 6) << 4);
}
