/**
 * Interleaved weights (formats.ts) as panels of floats whose steps are rows of W: what x·W multiplies with, in any
 * format. Eight rows at a time; for each panel of 8 columns they are eight steps.
 */
import { BLOCK_QUANTS, F32 } from "./codes";
import { biasOf, groupBytes, hasOffsets, hasShortGroups, isFloats } from "./formats";
import { gatherEight } from "./float-panels";
import { B_STEP } from "./float-tile";
import { fourRows } from "./multiply-floats";
import { panelBlockBytes, unpackPanel } from "./panels";

/** Blocks of 32 columns that are unpacked at once: those that share a head in K formats. */
const BLOCKS = 8;

/**
 * The 8 rows at `w`, of which `rows` exist, to `target`; from there each panel lies `panelBytes` after the one before.
 * `scratch` has room for DEQUANTIZE_BYTES bytes.
 */
export function dequantizeRows(
  format: i32,
  w: usize,
  columns: i32,
  rows: i32,
  target: usize,
  panelBytes: usize,
  scratch: usize,
  call: usize,
): void {
  if (isFloats(format)) return floatRows(format, w, columns, rows, target, panelBytes, scratch, call);
  const ones = v128.load32_splat(call + 4 * 9);
  const blocks = columns >> 5;
  const blockSize = panelBlockBytes(hasShortGroups(format), hasOffsets(format));
  for (let block = 0; block < blocks; block += BLOCKS) {
    const count = min(BLOCKS, blocks - block);
    unpackPanel(format, w + groupBytes(format, block << 5), count, scratch, ones);
    for (let index = 0; index < count; index++) {
      const at = target + <usize>((block + index) << 2) * panelBytes;
      oneBlock(format, scratch + <usize>index * blockSize, rows, at, panelBytes);
    }
  }
}

/** 32 columns of 8 rows as bytes and scales (panels.ts), which are four panels. */
function oneBlock(format: i32, block: usize, rows: i32, target: usize, panelBytes: usize): void {
  const bias = i32x4.splat(biasOf(format));
  const groups: usize = hasShortGroups(format) ? 2 : 1;
  const offsets = hasOffsets(format);
  for (let row = 0; row < rows; row++) {
    let to = target + B_STEP * <usize>row;
    let quants = block + (<usize>row << 2);
    let scaleAt = block + BLOCK_QUANTS + (<usize>row << 2);
    for (let panel = 0; panel < 4; panel++) {
      // Two panels are the 16 columns of a short group.
      if (groups == 2 && panel == 2) scaleAt += 32;
      const scale = v128.load32_splat(scaleAt);
      let lower = f32x4.mul(scale, fourValues(quants, bias));
      let upper = f32x4.mul(scale, fourValues(quants + 32, bias));
      if (offsets) {
        const offset = v128.load32_splat(scaleAt + 32 * groups);
        lower = f32x4.add(lower, offset);
        upper = f32x4.add(upper, offset);
      }
      v128.store(to, lower);
      v128.store(to, upper, 16);
      to += panelBytes;
      quants += 64;
    }
  }
}

/** Four unsigned bytes as what they stand for. */
@inline
function fourValues(at: usize, bias: v128): v128 {
  const words = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at)));
  return f32x4.convert_i32x4_s(i32x4.sub(words, bias));
}

function floatRows(
  format: i32,
  w: usize,
  columns: i32,
  rows: i32,
  target: usize,
  panelBytes: usize,
  scratch: usize,
  call: usize,
): void {
  const mask = v128.load32_splat(call + 4 * 12);
  const power = v128.load32_splat(call + 4 * 13);
  for (let column = 0; column < columns; column += 8) {
    const count = min(8, columns - column);
    let source = w + (<usize>column << (format == F32 ? 5 : 4));
    if (format != F32) {
      for (let c: usize = 0; c < <usize>count; c++) {
        v128.store(scratch + (c << 5), fourRows(format, source + (c << 4), mask, power));
        v128.store(scratch + (c << 5), fourRows(format, source + (c << 4) + 8, mask, power), 16);
      }
      source = scratch;
    }
    gatherEight(source, 32, count, rows, target + <usize>(column >> 3) * panelBytes);
  }
}
