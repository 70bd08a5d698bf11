/**
 * Products of floats for training, all three of a step: x·Wᵀ, x·W and the sum over tokens of dy·x.
 *
 *   c[m, n] = residual[m, n] + α · Σ over k of a(m, k) · b(k, n)
 *
 * Two calls: b is packed once into panels of 8 columns by all threads; then the threads take pieces of c, pack their
 * rows of a, and run tiles. k is cut into blocks whose panels stay in the caches. Where the cuts are depends on the
 * length of k alone, and each block's sum is added in order, so no bit of c depends on the threads or on the number of
 * other rows.
 *
 * Layout of b: for each block of k, for each panel of 8 columns, [k][8].
 */
import { takePiece } from "./barrier";
import { address, float, integer, shareFirst } from "./call";
import { COPY_PANELS, GATHER_PANELS, TILE_BYTES } from "./codes";
import { dequantizeRows } from "./dequantize-panels";
import { copyEight, copySix, gatherEight, gatherSix } from "./float-panels";
import { A_STEP, B_STEP, multiplyEdge, multiplyTile, TILE_COLUMNS, TILE_ROWS } from "./float-tile";
import { groupBytes } from "./formats";

/** Steps of k in a block, at most: 12 KiB of b and 9 of a. */
const BLOCK_DEPTH = 384;
/**
 * Tiles below each other that a thread packs at once, at most: their part of a, 288 KiB, stays in the second cache. All
 * of b is read once for them, from a cache further away.
 */
const PIECE_TILES = 32;
/** Rows copied at a time, so that all panels' reads of them come from the first cache. */
const COPY_ROWS = 32;

/** Steps of each block but the last: a multiple of 8, as groups of rows are. */
@inline
function blockDepth(depth: i32): i32 {
  const blocks = (depth + BLOCK_DEPTH - 1) / BLOCK_DEPTH;
  return ((depth + blocks - 1) / blocks + 7) & ~7;
}

/**
 * b to panels. Words: source, stride, way (codes.ts), depth, count (0: depth is fixed, else its address), columns,
 * panels; for interleaved weights also format, ones (0x01010101), scratch, its bytes a thread, HALF_MASK, HALF_POWER.
 */
export function packFloatPanels(call: usize, thread: i32, threadCount: i32): void {
  const count = address(call, 5);
  const depth = count ? load<i32>(count) : integer(call, 4);
  if (depth == 0) return;
  const way = integer(call, 3);
  if (way == GATHER_PANELS) gatherPanels(call, depth, thread, threadCount);
  else if (way == COPY_PANELS) copyPanels(call, depth, thread, threadCount);
  else dequantizePanels(call, depth, thread, threadCount);
}

/** Where the panel of a column starts in the block of k that starts at `first`. */
@inline
function panelAt(panels: usize, columns: i32, first: i32, length: i32, panel: i32): usize {
  const panelCount = (columns + 7) >> 3;
  return panels + B_STEP * (<usize>first * <usize>panelCount + <usize>panel * <usize>length);
}

function gatherPanels(call: usize, depth: i32, thread: i32, threadCount: i32): void {
  const stride = address(call, 2);
  const columns = integer(call, 6);
  const panelCount = (columns + 7) >> 3;
  const step = blockDepth(depth);
  const last = shareFirst(panelCount, thread + 1, threadCount);
  for (let panel = shareFirst(panelCount, thread, threadCount); panel < last; panel++) {
    const source = address(call, 1) + <usize>(panel << 3) * stride;
    const rows = min(8, columns - (panel << 3));
    for (let first = 0; first < depth; first += step) {
      const length = min(step, depth - first);
      const target = panelAt(address(call, 7), columns, first, length, panel);
      gatherEight(source + (<usize>first << 2), stride, rows, length, target);
    }
  }
}

function copyPanels(call: usize, depth: i32, thread: i32, threadCount: i32): void {
  const stride = address(call, 2);
  const columns = integer(call, 6);
  const panelCount = (columns + 7) >> 3;
  const step = blockDepth(depth);
  const parts = (step + COPY_ROWS - 1) / COPY_ROWS;
  const items = parts * ((depth + step - 1) / step);
  const last = shareFirst(items, thread + 1, threadCount);
  for (let item = shareFirst(items, thread, threadCount); item < last; item++) {
    const first = (item / parts) * step;
    const length = min(step, depth - first);
    const from = (item % parts) * COPY_ROWS;
    const rows = min(COPY_ROWS, length - from);
    const source = address(call, 1) + <usize>(first + from) * stride;
    for (let panel = 0; panel < panelCount; panel++) {
      const target = panelAt(address(call, 7), columns, first, length, panel) + B_STEP * <usize>from;
      copyEight(source + (<usize>panel << 5), stride, min(8, columns - (panel << 3)), rows, target);
    }
  }
}

/** Rows of interleaved weights are the steps; threads share groups of 8 rows, which no block of k cuts. */
function dequantizePanels(call: usize, depth: i32, thread: i32, threadCount: i32): void {
  const columns = integer(call, 6);
  const format = integer(call, 8);
  const scratch = address(call, 10) + <usize>thread * address(call, 11);
  const bytes = groupBytes(format, columns);
  const step = blockDepth(depth);
  const groups = (depth + 7) >> 3;
  const last = shareFirst(groups, thread + 1, threadCount);
  for (let group = shareFirst(groups, thread, threadCount); group < last; group++) {
    const row = group << 3;
    const first = (row / step) * step;
    const length = min(step, depth - first);
    const target = panelAt(address(call, 7), columns, first, length, 0) + B_STEP * <usize>(row - first);
    const w = address(call, 1) + <usize>group * bytes;
    dequantizeRows(format, w, columns, min(8, depth - row), target, B_STEP * <usize>length, scratch, call);
  }
}

/**
 * The product. Words: a, stride, way, panels, columns, c, stride, residual (0: none), stride, count, fixed length, α,
 * whether k is what is counted (else the rows of c), scratch, its bytes a thread.
 */
export function multiplyFloatPanels(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 10));
  const overTokens = integer(call, 13) != 0;
  const rows = overTokens ? integer(call, 11) : count;
  const depth = overTokens ? count : integer(call, 11);
  if (rows == 0 || depth == 0) return;
  const panelCount = (integer(call, 5) + 7) >> 3;
  const tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  // Over tokens b is long: few pieces, since each reads all of it.
  const wanted = overTokens ? 2 * threadCount : 4 * threadCount;
  const pieceTiles = tilesOfPiece(tiles, wanted, threadCount);
  const rowPieces = (tiles + pieceTiles - 1) / pieceTiles;
  // Few rows: the columns are cut as well, so that every thread has some.
  const columnPieces = threadCount == 1 ? 1 : min(panelCount, (wanted + rowPieces - 1) / rowPieces);
  const pieces = rowPieces * columnPieces;
  const scratch = address(call, 14) + <usize>thread * address(call, 15);
  for (let piece = takePiece(control); piece < pieces; piece = takePiece(control)) {
    const rowFirst = (piece / columnPieces) * pieceTiles * TILE_ROWS;
    const rowCount = min(rows - rowFirst, pieceTiles * TILE_ROWS);
    const panelFirst = shareFirst(panelCount, piece % columnPieces, columnPieces);
    const panelLast = shareFirst(panelCount, (piece % columnPieces) + 1, columnPieces);
    multiplyPiece(call, depth, rowFirst, rowCount, panelFirst, panelLast, scratch);
  }
}

/** Tiles of a piece, for at least `wanted` pieces, and as many for each thread, if that leaves 4 for each piece. */
function tilesOfPiece(tiles: i32, wanted: i32, threadCount: i32): i32 {
  const pieces = max(wanted, (tiles + PIECE_TILES - 1) / PIECE_TILES);
  const even = ((pieces + threadCount - 1) / threadCount) * threadCount;
  return min(PIECE_TILES, max(4, (tiles + even - 1) / even));
}

function multiplyPiece(
  call: usize,
  depth: i32,
  rowFirst: i32,
  rowCount: i32,
  panelFirst: i32,
  panelLast: i32,
  scratch: usize,
): void {
  const columns = integer(call, 5);
  const stride = address(call, 7);
  const alpha = float(call, 12);
  const panels = scratch + TILE_BYTES;
  const step = blockDepth(depth);
  const c = address(call, 6) + <usize>rowFirst * stride;
  // The first block is added to the residual, the others to what is there.
  let baseStride = address(call, 8) ? address(call, 9) : 0;
  let base = address(call, 8) ? address(call, 8) + <usize>rowFirst * baseStride : 0;
  for (let first = 0; first < depth; first += step) {
    const length = min(step, depth - first);
    const panelBytes = A_STEP * <usize>length;
    packRows(call, rowFirst, rowCount, first, length, panels);
    for (let panel = panelFirst; panel < panelLast; panel++) {
      const b = panelAt(address(call, 4), columns, first, length, panel);
      const byte = <usize>panel << 5;
      const width = min(TILE_COLUMNS, columns - (panel << 3));
      let a = panels;
      for (let row = 0; row < rowCount; row += TILE_ROWS) {
        const to = c + <usize>row * stride + byte;
        const from = base ? base + <usize>row * baseStride + byte : 0;
        const height = min(TILE_ROWS, rowCount - row);
        if (height == TILE_ROWS && width == TILE_COLUMNS)
          multiplyTile(a, b, length, to, stride, from, baseStride, alpha);
        else multiplyEdge(a, b, length, to, stride, from, baseStride, alpha, height, width, scratch);
        a += panelBytes;
      }
    }
    base = c;
    baseStride = stride;
  }
}

/** The thread's rows of a for one block of k, in panels of 6. */
@inline
function packRows(call: usize, rowFirst: i32, rowCount: i32, first: i32, length: i32, target: usize): void {
  const a = address(call, 1);
  const stride = address(call, 2);
  const panelBytes = A_STEP * <usize>length;
  if (integer(call, 3) == GATHER_PANELS) {
    for (let row = 0; row < rowCount; row += TILE_ROWS) {
      const source = a + <usize>(rowFirst + row) * stride + (<usize>first << 2);
      gatherSix(source, stride, min(TILE_ROWS, rowCount - row), length, target);
      target += panelBytes;
    }
    return;
  }
  for (let from = 0; from < length; from += COPY_ROWS) {
    const source = a + <usize>(first + from) * stride + (<usize>rowFirst << 2);
    const steps = min(COPY_ROWS, length - from);
    let to = target + A_STEP * <usize>from;
    for (let row = 0; row < rowCount; row += TILE_ROWS) {
      copySix(source + (<usize>row << 2), stride, min(TILE_ROWS, rowCount - row), steps, to);
      to += panelBytes;
    }
  }
}
