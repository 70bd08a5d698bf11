/**
 * Values of interleaved weights as floats, 32 columns of 8 rows at a time: what embed, convert and the transposed
 * product read.
 */
import { BF16, BLOCK_QUANTS, F32 } from "./codes";
import {
  biasOf,
  blockBytes,
  blocksPerHead,
  hasOffsets,
  hasShortGroups,
  headBytes,
  isFloats,
} from "./formats";
import { halfToFloat } from "./numbers";
import { unpackPanel } from "./panels";

/**
 * Columns 32·block … of the 8 rows at `w`, as f32 at `out`, [8][32]. With fewer than 32 columns left, only those.
 */
export function dequantizeBlock(format: i32, w: usize, columns: i32, block: i32, out: usize, ones: v128): void {
  if (isFloats(format)) return floatsOf(format, w, columns, block, out);
  const panel = out + 8 * 32 * 4;
  const perHead = blocksPerHead(format);
  const headStart = (block / perHead) * perHead;
  const superBytes = headBytes(format) + <usize>perHead * blockBytes(format);
  const within = block - headStart;
  // A block is unpacked from the last head on: its scales are not on their own.
  unpackPanel(format, w + <usize>(block / perHead) * superBytes, within + 1, panel, ones);
  const groups = hasShortGroups(format) ? 2 : 1;
  const groupBytes: usize = 32 * <usize>groups;
  const bytes = BLOCK_QUANTS + groupBytes * (hasOffsets(format) ? 2 : 1);
  const at = panel + <usize>within * bytes;
  const bias = biasOf(format);
  for (let row: usize = 0; row < 8; row++) {
    for (let column: usize = 0; column < 32; column++) {
      const q = <i32>load<u8>(at + ((column >> 2) << 5) + (row << 2) + (column & 3)) - bias;
      const group = groups == 2 ? column >> 4 : 0;
      const scaleAt = at + BLOCK_QUANTS + (group << 5) + (row << 2);
      let value: f32 = load<f32>(scaleAt) * <f32>q;
      if (hasOffsets(format)) value += load<f32>(scaleAt + groupBytes);
      store<f32>(out + (((row << 5) + column) << 2), value);
    }
  }
}

function floatsOf(format: i32, w: usize, columns: i32, block: i32, out: usize): void {
  const first = block << 5;
  const count = min(32, columns - first);
  for (let c = 0; c < count; c++) {
    const at = <usize>((first + c) << 3);
    for (let row: usize = 0; row < 8; row++)
      store<f32>(out + (((row << 5) + <usize>c) << 2), floatAt(format, w, at + row));
  }
}

@inline
function floatAt(format: i32, w: usize, index: usize): f32 {
  if (format == F32) return load<f32>(w + (index << 2));
  const bits: u32 = load<u16>(w + (index << 1));
  return format == BF16 ? reinterpret<f32>(bits << 16) : halfToFloat(bits);
}
