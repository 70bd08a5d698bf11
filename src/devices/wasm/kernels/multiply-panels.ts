/**
 * matmul of packed weights with several tokens: a few groups of 8 rows are unpacked into panels that stay in the second
 * cache, and multiplied with all tokens, a few tokens at a time so that their activations stay in the first.
 *
 * Bound by integer products. Tokens are taken four at a time (panel-tile.ts), the rest one by one with the same sums in
 * the same order. Sums of a token and group are kept in scratch space between blocks. Words: as in multiply-packed.ts.
 */
import { address, integer } from "./call";
import { BLOCK_QUANTS, Q6_K, RECORD_BYTES, SUMS_BYTES, SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES, WIDE_BLOCK_BYTES } from "./codes";
import { dotNarrow } from "./dots";
import { blockBytes, blocksPerHead, groupBytes, hasOffsets, hasOnes, hasShortGroups, headBytes, isK, isWide } from "./formats";
import { multiplyWideTile, unpackWidePanel } from "./multiply-wide";
import { multiplyAdd } from "./numbers";
import { addTile, TILE } from "./panel-tile";
import { panelBlockBytes, unpackPanel } from "./panels";
import { putGroup } from "./put";
import { RECORD_SCALE, RECORD_SECOND_SUM, RECORD_SUM } from "./quantize-activations";

/** Tokens at a time, as SUMS_BYTES has room for: with 2,048 columns their activations take 48 KiB. */
const TILE_TOKENS = SUMS_BYTES / 32;

/** The groups [groupFirst, groupLast) for all tokens. */
export function multiplyPanels(call: usize, count: i32, groupFirst: i32, groupLast: i32, thread: i32): void {
  const format = integer(call, 4);
  const columns = integer(call, 6);
  const ones = v128.load32_splat(call + 4 * 14);
  const scratch = address(call, 15) + <usize>thread * address(call, 16);
  const wide = isWide(format) && integer(call, 13) != SUM_QUADS_OF_BYTES;
  const panelBlock = wide ? WIDE_BLOCK_BYTES : panelBlockBytes(hasShortGroups(format), hasOffsets(format));
  const panelBytes = <usize>(columns >> 5) * panelBlock;
  const panels = scratch + SUMS_BYTES;
  // As many groups as there is room for, in equal parts: of few groups the tokens' activations are read for little.
  const most = <i32>((address(call, 16) - SUMS_BYTES) / panelBytes);
  const groups = groupLast - groupFirst;
  if (groups == 0) return;
  const parts = (groups + most - 1) / most;
  const panelCount = (groups + parts - 1) / parts;
  for (let first = groupFirst; first < groupLast; first += panelCount) {
    const end = min(groupLast, first + panelCount);
    const w = address(call, 3) + <usize>first * groupBytes(format, columns);
    unpackGroups(format, wide, w, columns, end - first, panels, panelBlock, scratch, ones);
    for (let token = 0; token < count; token += TILE_TOKENS) {
      const tokens = min(TILE_TOKENS, count - token);
      for (let group = first; group < end; group++) {
        const panel = panels + <usize>(group - first) * panelBytes;
        memory.fill(scratch, 0, <usize>tokens << 5);
        if (wide) multiplyWideTile(call, panel, token, tokens, scratch);
        else multiplyTile(call, panel, token, tokens, scratch);
        for (let t = 0; t < tokens; t++) {
          const sums = scratch + <usize>(t << 5);
          putGroup(call, token + t, group, v128.load(sums), v128.load(sums, 16));
        }
      }
    }
  }
}

/** Blocks of a group that are unpacked before the next group's: of K formats as many as have a head in common. */
const STRIP_BLOCKS = 2;

/** Unpacks groups into their panels, some columns of each in turn: so many streams are read faster (multiply-packed.ts). */
function unpackGroups(
  format: i32,
  wide: bool,
  w: usize,
  columns: i32,
  count: i32,
  panels: usize,
  panelBlock: usize,
  scratch: usize,
  ones: v128,
): void {
  const blocks = columns >> 5;
  const stripBlocks = isK(format) ? blocksPerHead(format) : STRIP_BLOCKS;
  const stripBytes = headBytes(format) + <usize>stripBlocks * blockBytes(format);
  for (let block = 0; block < blocks; block += stripBlocks) {
    const some = min(stripBlocks, blocks - block);
    let at = w;
    let panel = panels;
    for (let group = 0; group < count; group++) {
      if (wide) unpackWidePanel(format, at, some, panel, scratch, ones);
      else unpackPanel(format, at, some, panel, ones);
      at += groupBytes(format, columns);
      panel += <usize>blocks * panelBlock;
    }
    w += stripBytes;
    panels += <usize>stripBlocks * panelBlock;
  }
}

/**
 * One copy of the loop for each shape of panel and way of summing. Each is a function of its own: of copies in one the
 * compiler folds what they have in common, and asks in the innermost loop which it is.
 */
function multiplyTile(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  const format = integer(call, 4);
  const short = hasShortGroups(format);
  const offsets = hasOffsets(format);
  if (integer(call, 13) != SUM_PAIRS) {
    if (short && offsets) return tileQuadsShortOffsets(call, panel, token, tokens, sums);
    if (short) return tileQuadsShort(call, panel, token, tokens, sums);
    if (offsets) return tileQuadsOffsets(call, panel, token, tokens, sums);
    return tileQuads(call, panel, token, tokens, sums);
  }
  if (format == Q6_K) return tilePairsOfSix(call, panel, token, tokens, sums);
  if (short && offsets) return tilePairsShortOffsets(call, panel, token, tokens, sums);
  if (short) return tilePairsShort(call, panel, token, tokens, sums);
  if (hasOnes(format) && offsets) return tilePairsOfFiveOffsets(call, panel, token, tokens, sums);
  if (hasOnes(format)) return tilePairsOfFive(call, panel, token, tokens, sums);
  if (offsets) return tilePairsOffsets(call, panel, token, tokens, sums);
  return tilePairs(call, panel, token, tokens, sums);
}

function tileQuads(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_QUADS, 4, false, false, false, call, panel, token, tokens, sums);
}
function tileQuadsOffsets(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_QUADS, 4, false, false, true, call, panel, token, tokens, sums);
}
function tileQuadsShort(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_QUADS, 4, false, true, false, call, panel, token, tokens, sums);
}
function tileQuadsShortOffsets(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_QUADS, 4, false, true, true, call, panel, token, tokens, sums);
}
function tilePairs(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, true, false, false, call, panel, token, tokens, sums);
}
function tilePairsOffsets(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, true, false, true, call, panel, token, tokens, sums);
}
function tilePairsShort(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, true, true, false, call, panel, token, tokens, sums);
}
function tilePairsShortOffsets(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, true, true, true, call, panel, token, tokens, sums);
}
function tilePairsOfFive(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, false, false, false, call, panel, token, tokens, sums);
}
function tilePairsOfFiveOffsets(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 4, false, false, true, call, panel, token, tokens, sums);
}
function tilePairsOfSix(call: usize, panel: usize, token: i32, tokens: i32, sums: usize): void {
  tileOf(SUM_PAIRS, 2, false, true, false, call, panel, token, tokens, sums);
}

@inline
function tileOf(
  mode: i32,
  pairsFit: i32,
  tilesFit: bool,
  shortGroups: bool,
  offsets: bool,
  call: usize,
  panel: usize,
  token: i32,
  tokens: i32,
  sums: usize,
): void {
  const blocks = integer(call, 6) >> 5;
  const stride = address(call, 2);
  const pairOnes = i16x8.shr_u(v128.load32_splat(call + 4 * 14), 8);
  let records = address(call, 1) + <usize>token * stride;
  const tilesEnd = sums + (<usize>(tokens & -TILE) << 5);
  const sumsEnd = sums + (<usize>tokens << 5);
  for (let block = 0; block < blocks; block++) {
    let record = records;
    let sum = sums;
    for (; sum < tilesEnd; sum += 32 * TILE) {
      addTile(mode, tilesFit, shortGroups, offsets, panel, record, stride, sum, pairOnes);
      record += TILE * stride;
    }
    for (; sum < sumsEnd; sum += 32) {
      let lower = v128.load(sum);
      let upper = v128.load(sum, 16);
      const scale = v128.load32_splat(record, RECORD_SCALE);
      const start = offsets ? i32x4.splat(0) : v128.load32_splat(record, RECORD_SUM);
      let a = dotPanel(mode, pairsFit, panel, record, start);
      let b = dotPanel(mode, pairsFit, panel + 16, record, start);
      let scales = panel + BLOCK_QUANTS;
      if (shortGroups) {
        lower = multiplyAdd(f32x4.convert_i32x4_s(a), f32x4.mul(v128.load(scales), scale), lower);
        upper = multiplyAdd(f32x4.convert_i32x4_s(b), f32x4.mul(v128.load(scales, 16), scale), upper);
        scales += 32;
        a = offsets ? i32x4.splat(0) : v128.load32_splat(record, RECORD_SECOND_SUM);
        b = a;
      }
      a = dotPanel(mode, pairsFit, panel + 128, record + 16, a);
      b = dotPanel(mode, pairsFit, panel + 144, record + 16, b);
      lower = multiplyAdd(f32x4.convert_i32x4_s(a), f32x4.mul(v128.load(scales), scale), lower);
      upper = multiplyAdd(f32x4.convert_i32x4_s(b), f32x4.mul(v128.load(scales, 16), scale), upper);
      if (offsets) {
        const total = v128.load32_splat(record, RECORD_SUM);
        lower = multiplyAdd(v128.load(scales, 32), total, lower);
        upper = multiplyAdd(v128.load(scales, 48), total, upper);
        if (shortGroups) {
          const second = v128.load32_splat(record, RECORD_SECOND_SUM);
          lower = multiplyAdd(v128.load(scales, 64), second, lower);
          upper = multiplyAdd(v128.load(scales, 80), second, upper);
        }
      }
      v128.store(sum, lower);
      v128.store(sum, upper, 16);
      record += stride;
    }
    panel += panelBlockBytes(shortGroups, offsets);
    records += RECORD_BYTES;
  }
}

/** sum + Σ over 16 columns of x · q: four rows of a panel. */
@inline
function dotPanel(mode: i32, pairsFit: i32, q: usize, x: usize, sum: v128): v128 {
  const x0 = v128.load32_splat(x);
  const x1 = v128.load32_splat(x, 4);
  const x2 = v128.load32_splat(x, 8);
  const x3 = v128.load32_splat(x, 12);
  const q0 = v128.load(q);
  const q1 = v128.load(q, 32);
  const q2 = v128.load(q, 64);
  const q3 = v128.load(q, 96);
  return dotNarrow(mode, pairsFit, sum, x0, x1, x2, x3, q0, q1, q2, q3);
}
