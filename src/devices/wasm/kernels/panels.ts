/**
 * Weights of 8 rows in the form that all packed formats have in common, for products with many tokens: for every 32
 * columns 256 unsigned bytes (8 steps of 4 columns; rows 0-3, rows 4-7), then for each group of columns 8 scales in
 * f32 and, if the format has them, 8 offsets. Unpacked once, read for each token.
 */
import { BLOCK_QUANTS, IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0 } from "./codes";
import {
  blockBytes,
  blocksPerHead,
  hasOffsets,
  hasShortGroups,
  headBytes,
  isK,
  masks,
  onesMaskOf,
  quants,
  quantsAt,
  scaleBytes,
  scales,
  twosMaskOf,
} from "./formats";
import { finiteHalves, HALF_MASK, HALF_POWER } from "./numbers";

/** Bytes of 32 columns of 8 rows in a panel. */
@inline
export function panelBlockBytes(shortGroups: bool, offsets: bool): usize {
  const groups: usize = shortGroups ? 2 : 1;
  return BLOCK_QUANTS + 32 * groups * (offsets ? 2 : 1);
}

/** Unpacks `blocks` blocks of the group at `w` into `panel`. One function for each format: see multiply-panels.ts. */
export function unpackPanel(format: i32, w: usize, blocks: i32, panel: usize, ones: v128): void {
  switch (format) {
    case Q4_0:
      return unpackQ4_0(w, blocks, panel, ones);
    case Q4_1:
      return unpackQ4_1(w, blocks, panel, ones);
    case Q5_0:
      return unpackQ5_0(w, blocks, panel, ones);
    case Q5_1:
      return unpackQ5_1(w, blocks, panel, ones);
    case Q8_0:
      return unpackQ8_0(w, blocks, panel, ones);
    case Q2_K:
      return unpackQ2_K(w, blocks, panel, ones);
    case Q3_K:
      return unpackQ3_K(w, blocks, panel, ones);
    case Q4_K:
      return unpackQ4_K(w, blocks, panel, ones);
    case Q5_K:
      return unpackQ5_K(w, blocks, panel, ones);
    case Q6_K:
      return unpackQ6_K(w, blocks, panel, ones);
    case IQ4_NL:
      return unpackIQ4_NL(w, blocks, panel, ones);
  }
}

function unpackQ4_0(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q4_0, w, blocks, panel, ones);
}
function unpackQ4_1(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q4_1, w, blocks, panel, ones);
}
function unpackQ5_0(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q5_0, w, blocks, panel, ones);
}
function unpackQ5_1(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q5_1, w, blocks, panel, ones);
}
function unpackQ8_0(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q8_0, w, blocks, panel, ones);
}
function unpackQ2_K(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q2_K, w, blocks, panel, ones);
}
function unpackQ3_K(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q3_K, w, blocks, panel, ones);
}
function unpackQ4_K(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q4_K, w, blocks, panel, ones);
}
function unpackQ5_K(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q5_K, w, blocks, panel, ones);
}
function unpackQ6_K(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(Q6_K, w, blocks, panel, ones);
}
function unpackIQ4_NL(w: usize, blocks: i32, panel: usize, ones: v128): void {
  unpackOf(IQ4_NL, w, blocks, panel, ones);
}

@inline
function unpackOf(format: i32, w: usize, blocks: i32, panel: usize, ones: v128): void {
  const halfMask = i32x4.splat(HALF_MASK);
  const halfPower = i32x4.splat(HALF_POWER);
  let lowerHead = f32x4.splat(0);
  let upperHead = f32x4.splat(0);
  let lowerOffsetHead = f32x4.splat(0);
  let upperOffsetHead = f32x4.splat(0);
  for (let block = 0; block < blocks; block++) {
    if (isK(format) && block % blocksPerHead(format) == 0) {
      lowerHead = finiteHalves(w, halfMask, halfPower);
      upperHead = finiteHalves(w + 8, halfMask, halfPower);
      if (hasOffsets(format)) {
        lowerOffsetHead = f32x4.neg(finiteHalves(w + 16, halfMask, halfPower));
        upperOffsetHead = f32x4.neg(finiteHalves(w + 24, halfMask, halfPower));
      }
      w += headBytes(format);
    }
    unpackQuants(format, w + quantsAt(format), panel, ones);
    panel += BLOCK_QUANTS;
    const groups = hasShortGroups(format) ? 2 : 1;
    for (let group = 0; group < groups; group++) {
      v128.store(panel, scales(format, w, group, false, lowerHead, halfMask, halfPower));
      v128.store(panel, scales(format, w, group, true, upperHead, halfMask, halfPower), 16);
      panel += 32;
    }
    if (hasOffsets(format)) {
      const offsets = w + scaleBytes(format);
      for (let group = 0; group < groups; group++) {
        v128.store(panel, scales(format, offsets, group, false, lowerOffsetHead, halfMask, halfPower));
        v128.store(panel, scales(format, offsets, group, true, upperOffsetHead, halfMask, halfPower), 16);
        panel += 32;
      }
    }
    w += blockBytes(format);
  }
}

@inline
function unpackQuants(format: i32, q: usize, panel: usize, ones: v128): void {
  unpackStep(format, q, 0, panel, ones);
  unpackStep(format, q, 1, panel, ones);
  unpackStep(format, q, 2, panel, ones);
  unpackStep(format, q, 3, panel, ones);
  unpackStep(format, q, 4, panel, ones);
  unpackStep(format, q, 5, panel, ones);
  unpackStep(format, q, 6, panel, ones);
  unpackStep(format, q, 7, panel, ones);
}

@inline
function unpackStep(format: i32, q: usize, k: i32, panel: usize, ones: v128): void {
  const nibbleMask = masks(ones, 15);
  const twosMask = masks(ones, twosMaskOf(format));
  const onesMask = masks(ones, onesMaskOf(format));
  v128.store(panel + 32 * <usize>k, quants(format, q, k, false, nibbleMask, twosMask, onesMask));
  v128.store(panel + 32 * <usize>k + 16, quants(format, q, k, true, nibbleMask, twosMask, onesMask));
}
