/**
 * Puts rows of weights from the file's order into the interleaved one (formats.ts), 8 rows at a time, losslessly. Rows
 * beyond the last are zeros. Threads share the groups; bound by the shuffling, at about an instruction a weight.
 *
 * Words: source, stride, target, format, rows, columns, scratch, its bytes a thread.
 */
import { address, integer, shareFirst } from "./call";
import { BLOCK_QUANTS, F32, IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0 } from "./codes";
import { fileBlockBytes, fileGroupOffset, fileGroupScale, fileQuants, fileScaleAt } from "./file-blocks";
import {
  blockBytes,
  blocksPerHead,
  groupBytes,
  hasNibbles,
  hasOffsets,
  hasOnes,
  hasShortGroups,
  hasTwos,
  headBytes,
  isFloats,
  isK,
  onesAt,
  onesPlace,
  quantsAt,
  scaleBytes,
  twosAt,
  twosPlace,
} from "./formats";

export function interleave(call: usize, thread: i32, threadCount: i32): void {
  const source = address(call, 1);
  const stride = address(call, 2);
  const format = integer(call, 4);
  const rows = integer(call, 5);
  const columns = integer(call, 6);
  const scratch = address(call, 7) + <usize>thread * address(call, 8);
  const groups = (rows + 7) >> 3;
  const last = shareFirst(groups, thread + 1, threadCount);
  for (let group = shareFirst(groups, thread, threadCount); group < last; group++) {
    const from = source + <usize>(group << 3) * stride;
    const to = address(call, 3) + <usize>group * groupBytes(format, columns);
    const live = min(8, rows - (group << 3));
    if (isFloats(format)) interleaveFloats(format, from, stride, live, columns, to, scratch);
    else interleavePacked(format, from, stride, live, columns >> 5, to, scratch);
  }
}

function interleaveFloats(
  format: i32,
  from: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  to: usize,
  scratch: usize,
): void {
  let columnFirst = 0;
  if (rows == 8) {
    if (format == F32)
      for (; columnFirst + 4 <= columns; columnFirst += 4)
        transposeSingles(from + ((<usize>columnFirst) << 2), stride, to + ((<usize>columnFirst) << 5));
    else
      for (; columnFirst + 8 <= columns; columnFirst += 8)
        transposeHalves(from + ((<usize>columnFirst) << 1), stride, to + ((<usize>columnFirst) << 4), scratch);
  }
  for (let row = 0; row < 8; row++) {
    const source = from + <usize>row * stride;
    for (let column = columnFirst; column < columns; column++) {
      if (format == F32) {
        const value = row < rows ? load<u32>(source + ((<usize>column) << 2)) : 0;
        store<u32>(to + ((<usize>((column << 3) + row)) << 2), value);
      } else {
        const value = row < rows ? load<u16>(source + ((<usize>column) << 1)) : 0;
        store<u16>(to + ((<usize>((column << 3) + row)) << 1), value);
      }
    }
  }
}

/** [8 rows][4 columns] of 32 bits to [4 columns][8 rows]. */
@inline
function transposeSingles(from: usize, stride: usize, to: usize): void {
  transposeRows(from, stride, to);
  transposeRows(from + 4 * stride, stride, to + 16);
}

/** [8 rows][8 columns] of 16 bits to [8 columns][8 rows]: first pairs of columns, then the two of each pair. */
@inline
function transposeHalves(from: usize, stride: usize, to: usize, scratch: usize): void {
  transposeSingles(from, stride, scratch);
  for (let pair: usize = 0; pair < 128; pair += 32) {
    const lower = v128.load(scratch + pair);
    const upper = v128.load(scratch + pair + 16);
    v128.store(to + pair, v128.shuffle<i16>(lower, upper, 0, 2, 4, 6, 8, 10, 12, 14));
    v128.store(to + pair, v128.shuffle<i16>(lower, upper, 1, 3, 5, 7, 9, 11, 13, 15), 16);
  }
}

/** One copy of the loop for each format. */
function interleavePacked(
  format: i32,
  from: usize,
  stride: usize,
  rows: i32,
  blocks: i32,
  to: usize,
  scratch: usize,
): void {
  switch (format) {
    case Q4_0:
      return interleaveOf(Q4_0, from, stride, rows, blocks, to, scratch);
    case Q4_1:
      return interleaveOf(Q4_1, from, stride, rows, blocks, to, scratch);
    case Q5_0:
      return interleaveOf(Q5_0, from, stride, rows, blocks, to, scratch);
    case Q5_1:
      return interleaveOf(Q5_1, from, stride, rows, blocks, to, scratch);
    case Q8_0:
      return interleaveOf(Q8_0, from, stride, rows, blocks, to, scratch);
    case Q2_K:
      return interleaveOf(Q2_K, from, stride, rows, blocks, to, scratch);
    case Q3_K:
      return interleaveOf(Q3_K, from, stride, rows, blocks, to, scratch);
    case Q4_K:
      return interleaveOf(Q4_K, from, stride, rows, blocks, to, scratch);
    case Q5_K:
      return interleaveOf(Q5_K, from, stride, rows, blocks, to, scratch);
    case Q6_K:
      return interleaveOf(Q6_K, from, stride, rows, blocks, to, scratch);
    case IQ4_NL:
      return interleaveOf(IQ4_NL, from, stride, rows, blocks, to, scratch);
  }
}

@inline
function interleaveOf(
  format: i32,
  from: usize,
  stride: usize,
  rows: i32,
  blocks: i32,
  to: usize,
  scratch: usize,
): void {
  const parts = blocksPerHead(format);
  const fileBytes = fileBlockBytes(format);
  memory.fill(scratch, 0, BLOCK_QUANTS);
  for (let block = 0; block < blocks; block++) {
    const part = block % parts;
    const at = from + <usize>(block / parts) * fileBytes;
    if (isK(format) && part == 0) {
      putHalves(at + fileScaleAt(format), stride, rows, to);
      if (hasOffsets(format)) putHalves(at + fileScaleAt(format) + 2, stride, rows, to + 16);
      to += headBytes(format);
    }
    if (isK(format)) putGroupScales(format, at, stride, rows, part, to);
    else {
      putHalves(at, stride, rows, to);
      if (hasOffsets(format)) putHalves(at + 2, stride, rows, to + 16);
    }
    for (let row = 0; row < rows; row++)
      fileQuants(format, at + <usize>row * stride, part, scratch + ((<usize>row) << 5));
    const target = to + quantsAt(format);
    const steps = format == Q8_0 ? target : scratch + BLOCK_QUANTS;
    transpose(scratch, steps);
    if (format != Q8_0) packSteps(format, steps, target);
    to += blockBytes(format);
  }
}

/** One f16 of each row. */
function putHalves(at: usize, stride: usize, rows: i32, to: usize): void {
  for (let row = 0; row < 8; row++)
    store<u16>(to + ((<usize>row) << 1), row < rows ? load<u16>(at + <usize>row * stride) : 0);
}

/** A K format's scales and offsets of 32 columns, [group][8 rows] bytes each. */
@inline
function putGroupScales(format: i32, at: usize, stride: usize, rows: i32, part: i32, to: usize): void {
  const groups = hasShortGroups(format) ? 2 : 1;
  for (let g = 0; g < groups; g++) {
    for (let row = 0; row < 8; row++) {
      const block = at + <usize>row * stride;
      const target = to + <usize>((g << 3) + row);
      const group = part * groups + g;
      store<i8>(target, row < rows ? <i8>fileGroupScale(format, block, group) : 0);
      if (hasOffsets(format))
        store<i8>(target + scaleBytes(format), row < rows ? <i8>fileGroupOffset(format, block, group) : 0);
    }
  }
}

/** [8 rows][32 columns] to [8 steps][8 rows][4 columns]. */
function transpose(bytes: usize, steps: usize): void {
  transposeSingles(bytes, 32, steps);
  transposeSingles(bytes + 16, 32, steps + 128);
}

/** Four rows of 16 bytes to four vectors of a lane of each row, 32 bytes apart. */
@inline
function transposeRows(bytes: usize, stride: usize, steps: usize): void {
  const a = v128.load(bytes);
  const b = v128.load(bytes + stride);
  const c = v128.load(bytes + 2 * stride);
  const d = v128.load(bytes + 3 * stride);
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  v128.store(steps, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(steps, v128.shuffle<i64>(ab, cd, 1, 3), 32);
  const abLast = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cdLast = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(steps, v128.shuffle<i64>(abLast, cdLast, 0, 2), 64);
  v128.store(steps, v128.shuffle<i64>(abLast, cdLast, 1, 3), 96);
}

/** Takes the steps' quants apart into nibbles, twos and ones. */
@inline
function packSteps(format: i32, steps: usize, to: usize): void {
  if (hasNibbles(format))
    for (let k: usize = 0; k < 8; k++) v128.store(to + 16 * k, bitsOf(steps + 32 * k, 0, 15, 0, 4));
  if (hasTwos(format))
    for (let k: usize = 0; k < 8; k += 2) {
      const first = bitsOf(steps + 32 * k, twosPlace(format), 3, 0, 2);
      const second = bitsOf(steps + 32 * k + 32, twosPlace(format), 3, 4, 6);
      v128.store(to + twosAt(format) + 8 * k, v128.or(first, second));
    }
  if (hasOnes(format))
    for (let k: usize = 0; k < 8; k += 4) {
      let ones = bitsOf(steps + 32 * k, onesPlace(format), 1, 0, 1);
      ones = v128.or(ones, bitsOf(steps + 32 * k + 32, onesPlace(format), 1, 2, 3));
      ones = v128.or(ones, bitsOf(steps + 32 * k + 64, onesPlace(format), 1, 4, 5));
      ones = v128.or(ones, bitsOf(steps + 32 * k + 96, onesPlace(format), 1, 6, 7));
      v128.store(to + onesAt(format) + 4 * k, ones);
    }
}

/** Bits of a step's bytes, moved from one place to others: rows 0-3 and rows 4-7. */
@inline
function bitsOf(step: usize, from: i32, mask: i32, toLower: i32, toUpper: i32): v128 {
  const bits = i8x16.splat(<i8>mask);
  const lower = v128.and(i16x8.shr_u(v128.load(step), from), bits);
  const upper = v128.and(i16x8.shr_u(v128.load(step, 16), from), bits);
  return v128.or(i16x8.shl(lower, toLower), i16x8.shl(upper, toUpper));
}
