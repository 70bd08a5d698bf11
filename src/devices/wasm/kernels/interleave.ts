/**
 * Puts rows of weights from the file's order into the interleaved one (formats.ts), 8 rows at a time, losslessly. Rows
 * beyond the last are zeros. Threads share the groups; bound by the shuffling, at about an instruction a weight.
 *
 * Words: source, stride, target, format, rows, columns, scratch, its bytes a thread (INTERLEAVE_SCRATCH).
 */
import { address, integer, shareFirst } from "./call";
import { F32, IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0 } from "./codes";
import { fileBlockBytes, fileGroupOffset, fileGroupScale, fileQuants, fileScaleAt } from "./file-blocks";
import {
  BLOCK_QUANTS,
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
    if (isFloats(format)) interleaveFloats(format, from, stride, live, columns, to);
    else interleavePacked(format, from, stride, live, columns >> 5, to, scratch);
  }
}

function interleaveFloats(format: i32, from: usize, stride: usize, rows: i32, columns: i32, to: usize): void {
  for (let row = 0; row < 8; row++) {
    const source = from + <usize>row * stride;
    for (let column = 0; column < columns; column++) {
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
    const steps = scratch + BLOCK_QUANTS;
    transpose(scratch, steps);
    packSteps(format, steps, to + quantsAt(format));
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
  transposeRows(bytes, steps);
  transposeRows(bytes + 16, steps + 128);
  transposeRows(bytes + 128, steps + 16);
  transposeRows(bytes + 144, steps + 144);
}

/** Four rows of 16 columns to four steps. */
@inline
function transposeRows(bytes: usize, steps: usize): void {
  const a = v128.load(bytes);
  const b = v128.load(bytes, 32);
  const c = v128.load(bytes, 64);
  const d = v128.load(bytes, 96);
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
  if (format == Q8_0) {
    memory.copy(to, steps, BLOCK_QUANTS);
    return;
  }
  memory.fill(to, 0, blockBytes(format) - quantsAt(format));
  for (let k = 0; k < 8; k++) {
    const lower = v128.load(steps + 32 * <usize>k);
    const upper = v128.load(steps + 32 * <usize>k + 16);
    if (hasNibbles(format)) {
      const nibbles = v128.and(lower, i8x16.splat(15));
      v128.store(to + 16 * <usize>k, v128.or(nibbles, i8x16.shl(upper, 4)));
    }
    if (hasTwos(format)) {
      const at = to + twosAt(format) + 16 * <usize>(k >> 1);
      addBits(at, lower, twosPlace(format), 3, 4 * (k & 1));
      addBits(at, upper, twosPlace(format), 3, 4 * (k & 1) + 2);
    }
    if (hasOnes(format)) {
      const at = to + onesAt(format) + 16 * <usize>(k >> 2);
      addBits(at, lower, onesPlace(format), 1, 2 * (k & 3));
      addBits(at, upper, onesPlace(format), 1, 2 * (k & 3) + 1);
    }
  }
}

/** Moves bits of every byte from one place to another. */
function addBits(at: usize, bytes: v128, from: i32, mask: i32, to: i32): void {
  const bits = i8x16.shl(v128.and(i8x16.shr_u(bytes, from), i8x16.splat(<i8>mask)), to);
  v128.store(at, v128.or(v128.load(at), bits));
}
