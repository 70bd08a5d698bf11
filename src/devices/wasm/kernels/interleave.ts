/**
 * Puts rows of weights from the file's order into the interleaved one (formats.ts), 8 rows at a time, losslessly. Rows
 * beyond the last are zeros. Threads share the groups; bound by the shuffling, at about an instruction a weight.
 *
 * Words: source, stride, target, format, rows, columns, scratch, its bytes a thread (INTERLEAVE_SCRATCH).
 */
import { address, integer, shareFirst } from "./call";
import { F32, Q8_0 } from "./codes";
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
    else interleavePacked(format, from, stride, live, columns, to, scratch);
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

function interleavePacked(
  format: i32,
  from: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  to: usize,
  scratch: usize,
): void {
  const parts = isK(format) ? 8 : 1;
  const fileBytes = fileBlockBytes(format);
  const blocks = columns >> 5;
  memory.fill(scratch, 0, BLOCK_QUANTS);
  for (let block = 0; block < blocks; block++) {
    const part = block % parts;
    const at = from + <usize>(block / parts) * fileBytes;
    if (isK(format) && block % blocksPerHead(format) == 0) {
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
  for (let row: usize = 0; row < 8; row++)
    for (let k: usize = 0; k < 8; k++)
      store<u32>(steps + (k << 5) + (row << 2), load<u32>(bytes + (row << 5) + (k << 2)));
}

/** Takes the steps' quants apart into nibbles, twos and ones. */
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
