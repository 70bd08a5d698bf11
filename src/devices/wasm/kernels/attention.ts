/**
 * attention over the cache, in pieces of at most 64 positions that depend on positions and the page length only. The
 * queries that use one key/value head go through a piece in tiles (attention-tile.ts): each key and value is converted
 * once a tile.
 *
 * The softmax runs along with the pieces of a span of positions: when a larger score comes, what was summed so far is
 * scaled down. Spans are joined in the same way, in ascending order. So a step of few rows can give its spans to
 * different threads and join them in a second call, and one of many rows can give a thread some rows with all their
 * spans: a token's bits are the same.
 *
 * Words: q, stride, keys, stride, values, stride, y, stride, positions, sequences, pages, stride, page length, count,
 * key/value heads, group, head length, scale, window, scratch, its bytes a thread, HALF_MASK, HALF_POWER, rows of a
 * step whose spans are shared, spans (16 bytes + a head each), how many a query may have, queries in a block, formats of the
 * keys and the values.
 */
import { placeRounded } from "./attention-scores";
import { attendTile, FIRST, LARGEST, LAST, PIECE, placed, QUERIES, SCORE_BYTES, SUM, sumsOf, tileBytes } from "./attention-tile";
import { takePiece } from "./barrier";
import { address, float, integer, shareFirst } from "./call";
import { cellOf } from "./cells";
import { Q8_0, SPAN } from "./codes";
import { fetchBoth } from "./fetch";
import { exponentialOf } from "./numbers";

const POSITIONS: usize = 9;
const SEQUENCES: usize = 10;
const COUNT: usize = 14;
const KV_HEADS: usize = 15;
const GROUP: usize = 16;
const HEAD_LENGTH: usize = 17;
const WINDOW: usize = 19;
const SHARED_ROWS: usize = 24;
const KEY_FORMAT: usize = 28;
const VALUE_FORMAT: usize = 29;

export function attention(call: usize, control: usize, thread: i32): void {
  const count = load<i32>(address(call, COUNT));
  if (count <= integer(call, SHARED_ROWS)) attendSpans(call, control, thread, count);
  else attendBlocks(call, control, thread, count);
}

@inline
function positionOf(call: usize, row: i32): i32 {
  return load<i32>(address(call, POSITIONS) + (<usize>row << 2));
}

@inline
function sequenceOf(call: usize, row: i32): i32 {
  return load<i32>(address(call, SEQUENCES) + (<usize>row << 2));
}

@inline
function firstSeen(call: usize, position: i32): i32 {
  const window = integer(call, WINDOW);
  return window > 0 ? max(0, position - window + 1) : 0;
}

/** Query head `head` of a row. */
@inline
function queryOf(call: usize, row: i32, head: i32): usize {
  return address(call, 1) + <usize>row * address(call, 2) + (<usize>(head * integer(call, HEAD_LENGTH)) << 2);
}

@inline
function outputOf(call: usize, row: i32, head: i32): usize {
  return address(call, 7) + <usize>row * address(call, 8) + (<usize>(head * integer(call, HEAD_LENGTH)) << 2);
}

/** Where a span of a query lies until it is joined: largest score, sum, and from byte 16 on the mixed values. */
@inline
function spanOf(call: usize, row: i32, head: i32, span: i32): usize {
  const query = row * integer(call, KV_HEADS) * integer(call, GROUP) + head;
  const index = <usize>query * address(call, 26) + <usize>span;
  return address(call, 25) + index * (16 + (address(call, HEAD_LENGTH) << 2));
}

/** Few rows: threads take spans, for `attentionJoin`. */
function attendSpans(call: usize, control: usize, thread: i32, count: i32): void {
  const kvHeads = integer(call, KV_HEADS);
  const group = integer(call, GROUP);
  const headLength = integer(call, HEAD_LENGTH);
  let item = takePiece(control);
  let before = 0;
  for (let row = 0; row < count; row++) {
    const position = positionOf(call, row);
    const first = firstSeen(call, position);
    const spanFirst = first / SPAN;
    const spans = position / SPAN + 1 - spanFirst;
    const items = spans * kvHeads;
    for (; item < before + items; item = takePiece(control)) {
      const kvHead = (item - before) % kvHeads;
      const span = spanFirst + (item - before) / kvHeads;
      const scratch = address(call, 20) + <usize>thread * address(call, 21);
      const tiles = scratch + SCORE_BYTES;
      placeQueries(call, row, kvHead, group, tiles);
      attendSpan(call, row, kvHead, group, span, scratch);
      for (let query = 0; query < group; query++) {
        const to = spanOf(call, row, kvHead * group + query, span);
        const tile = tileOf(query, group, tiles, headLength);
        const lane = <usize>(query - tileFirst(query, group)) << 2;
        const size = tileSize(tileFirst(query, group), group);
        store<f32>(to, load<f32>(tile + lane, LARGEST));
        store<f32>(to, load<f32>(tile + lane, SUM), 4);
        const sums = sumsOf(tile, headLength) + (lane << 2);
        for (let c: usize = 0; c < <usize>headLength; c += 4)
          v128.store(to + (c << 2), v128.load(sums + ((c * <usize>size) << 2)), 16);
      }
    }
    before += items;
  }
}

/** Joins the spans of few rows; of many rows they are joined already. */
export function attentionJoin(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, COUNT));
  if (count > integer(call, SHARED_ROWS)) return;
  const headLength = integer(call, HEAD_LENGTH);
  const heads = integer(call, KV_HEADS) * integer(call, GROUP);
  const last = shareFirst(count * heads, thread + 1, threadCount);
  const state = address(call, 20) + <usize>thread * address(call, 21);
  for (let query = shareFirst(count * heads, thread, threadCount); query < last; query++) {
    const row = query / heads;
    const head = query % heads;
    const y = outputOf(call, row, head);
    const position = positionOf(call, row);
    clear(state, y, headLength);
    for (let span = firstSeen(call, position) / SPAN; span <= position / SPAN; span++) {
      const from = spanOf(call, row, head, span);
      join(state, y, load<f32>(from), load<f32>(from, 4), from + 16, 16, headLength);
    }
    scaleRow(y, headLength, 1 / load<f32>(state, 4));
  }
}

/** Many rows: threads take a block of rows of one key/value head, the last rows first, since they see the most. */
function attendBlocks(call: usize, control: usize, thread: i32, count: i32): void {
  const kvHeads = integer(call, KV_HEADS);
  const group = integer(call, GROUP);
  const blockRows = max(1, integer(call, 27) / group);
  const blocks = (count + blockRows - 1) / blockRows;
  for (let item = takePiece(control); item < blocks * kvHeads; item = takePiece(control)) {
    const block = blocks - 1 - item / kvHeads;
    const end = min(count, (block + 1) * blockRows);
    for (let row = block * blockRows; row < end; ) {
      // Rows of one sequence at ascending positions go together.
      let rows = 1;
      while (
        row + rows < end &&
        sequenceOf(call, row + rows) == sequenceOf(call, row) &&
        positionOf(call, row + rows) > positionOf(call, row + rows - 1)
      )
        rows++;
      attendRows(call, row, rows, item % kvHeads, thread);
      row += rows;
    }
  }
}

/** Some rows of a sequence and one key/value head, span by span, into y. */
function attendRows(call: usize, row: i32, rows: i32, kvHead: i32, thread: i32): void {
  const group = integer(call, GROUP);
  const headLength = integer(call, HEAD_LENGTH);
  const count = rows * group;
  const scratch = address(call, 20) + <usize>thread * address(call, 21);
  const tiles = scratch + SCORE_BYTES;
  // The joined spans' largest scores and sums come after the tiles.
  const states = tileOf(count, count, tiles, headLength);
  for (let query = 0; query < count; query++)
    clear(states + (<usize>query << 3), outputOf(call, row + query / group, kvHead * group + (query % group)), headLength);
  placeQueries(call, row, kvHead, count, tiles);
  const spanLast = positionOf(call, row + rows - 1) / SPAN;
  for (let span = firstSeen(call, positionOf(call, row)) / SPAN; span <= spanLast; span++) {
    attendSpan(call, row, kvHead, count, span, scratch);
    for (let query = 0; query < count; query++) {
      const first = tileFirst(query, count);
      const tile = tileOf(query, count, tiles, headLength);
      const lane = <usize>(query - first) << 2;
      const largest = load<f32>(tile + lane, LARGEST);
      // Nothing of this span was seen.
      if (largest == -Infinity) continue;
      const y = outputOf(call, row + query / group, kvHead * group + (query % group));
      const sums = sumsOf(tile, headLength) + (lane << 2);
      const step = <usize>tileSize(first, count) << 4;
      join(states + (<usize>query << 3), y, largest, load<f32>(tile + lane, SUM), sums, step, headLength);
    }
  }
  for (let query = 0; query < count; query++) {
    const y = outputOf(call, row + query / group, kvHead * group + (query % group));
    scaleRow(y, headLength, 1 / load<f32>(states + (<usize>query << 3), 4));
  }
}

// Tiles: eight queries each, and what is left over in tiles of four, three, two or one.

@inline
function tileSize(first: i32, count: i32): i32 {
  const left = count - first;
  return left >= 8 ? 8 : left >= 4 ? 4 : left;
}

/** First query of the tile that a query is in. */
@inline
function tileFirst(query: i32, count: i32): i32 {
  const first = query & ~7;
  return count - first < 8 && count - first > 4 && query - first >= 4 ? first + 4 : first;
}

/** The tile that a query is in, or for `query` = `count` the end of the tiles. */
@inline
function tileOf(query: i32, count: i32, tiles: usize, headLength: i32): usize {
  if (query == count) return tiles + <usize>((count >> 3) + 2) * tileBytes(headLength);
  const index = (query >> 3) + (tileFirst(query, count) & 4 ? 1 : 0);
  return tiles + <usize>index * tileBytes(headLength);
}

/** Lays `count` queries from a row on into tiles, with the positions that they see. */
function placeQueries(call: usize, row: i32, kvHead: i32, count: i32, tiles: usize): void {
  const group = integer(call, GROUP);
  const headLength = integer(call, HEAD_LENGTH);
  for (let query = 0; query < count; query++) {
    const first = tileFirst(query, count);
    const tile = tileOf(query, count, tiles, headLength);
    const size = tileSize(first, count);
    const queryRow = row + query / group;
    const q = queryOf(call, queryRow, kvHead * group + (query % group));
    const position = positionOf(call, queryRow);
    const lane = <usize>(query - first);
    if (lane == 0) {
      // Lanes without a query see nothing that its neighbours do not.
      v128.store(tile, i32x4.splat(0), FIRST);
      v128.store(tile, i32x4.splat(0), FIRST + 16);
      v128.store(tile, i32x4.splat(i32.MAX_VALUE), LAST);
      v128.store(tile, i32x4.splat(i32.MAX_VALUE), LAST + 16);
    }
    store<i32>(tile + (lane << 2), firstSeen(call, position), FIRST);
    store<i32>(tile + (lane << 2), position, LAST);
    if (integer(call, KEY_FORMAT) == Q8_0) {
      placeRounded(q, tile + QUERIES, lane, headLength, float(call, 18));
      continue;
    }
    const to = tile + QUERIES + (lane << 4);
    for (let c: usize = 0; c < <usize>headLength; c += 4)
      v128.store(to + ((c * <usize>size) << 2), placed(v128.load(q + (c << 2))));
  }
}

/** One span of placed queries that begin at a row: leaves largest scores, sums and mixed values in their tiles. */
function attendSpan(call: usize, row: i32, kvHead: i32, count: i32, span: i32, scratch: usize): void {
  const group = integer(call, GROUP);
  const headLength = integer(call, HEAD_LENGTH);
  const keyStride = address(call, 4);
  const valueStride = address(call, 6);
  const pageLength = integer(call, 13);
  const scale = float(call, 18);
  const mask = v128.load32_splat(call + 4 * 22);
  const highMask = v128.load16_splat(call + 4 * 22, 2);
  const power = v128.load32_splat(call + 4 * 23);
  const quantKeys = integer(call, KEY_FORMAT) == Q8_0;
  const quantValues = integer(call, VALUE_FORMAT) == Q8_0;
  const pages = address(call, 11) + <usize>sequenceOf(call, row) * address(call, 12);
  const kvHeads = integer(call, KV_HEADS);
  const tiles = scratch + SCORE_BYTES;
  for (let query = 0; query < count; query += tileSize(query, count)) {
    const tile = tileOf(query, count, tiles, headLength);
    v128.store(tile, f32x4.splat(-Infinity), LARGEST);
    v128.store(tile, f32x4.splat(-Infinity), LARGEST + 16);
    v128.store(tile, f32x4.splat(0), SUM);
    v128.store(tile, f32x4.splat(0), SUM + 16);
    memory.fill(sumsOf(tile, headLength), 0, <usize>headLength << 5);
  }
  const first = max(span * SPAN, firstSeen(call, positionOf(call, row)));
  const last = min((span + 1) * SPAN - 1, positionOf(call, row + (count - 1) / group));
  const head = <usize>(kvHead * pageLength);
  const pageRows = kvHeads * pageLength;
  let length = pieceLength(first, last, pageLength);
  let cell = cellOf(pages, first, pageLength, pageRows) + head;
  fetchPiece(call, cell, length, scratch);
  for (let start = first; start <= last; ) {
    const keys = address(call, 3) + cell * keyStride;
    const values = address(call, 5) + cell * valueStride;
    const next = start + length;
    const nextLength = next <= last ? pieceLength(next, last, pageLength) : 0;
    if (nextLength > 0) {
      cell = cellOf(pages, next, pageLength, pageRows) + head;
      fetchPiece(call, cell, nextLength, scratch);
    }
    for (let query = 0; query < count; query += tileSize(query, count)) {
      const size = tileSize(query, count);
      const seenLast = positionOf(call, row + (query + size - 1) / group);
      if (seenLast < start || firstSeen(call, positionOf(call, row + query / group)) >= start + length) continue;
      const seen = min(length, seenLast + 1 - start);
      const tile = tileOf(query, count, tiles, headLength);
      switch (size) {
        case 8:
          attendTile(8, tile, scratch, keys, keyStride, values, valueStride, start, seen, headLength, scale, mask, highMask, power, quantKeys, quantValues);
          break;
        case 4:
          attendTile(4, tile, scratch, keys, keyStride, values, valueStride, start, seen, headLength, scale, mask, highMask, power, quantKeys, quantValues);
          break;
        case 3:
          attendTile(3, tile, scratch, keys, keyStride, values, valueStride, start, seen, headLength, scale, mask, highMask, power, quantKeys, quantValues);
          break;
        case 2:
          attendTile(2, tile, scratch, keys, keyStride, values, valueStride, start, seen, headLength, scale, mask, highMask, power, quantKeys, quantValues);
          break;
        default:
          attendTile(1, tile, scratch, keys, keyStride, values, valueStride, start, seen, headLength, scale, mask, highMask, power, quantKeys, quantValues);
      }
    }
    start = next;
    length = nextLength;
  }
}

@inline
function pieceLength(start: i32, last: i32, pageLength: i32): i32 {
  const within = start % pageLength;
  return min(min(pageLength - within, PIECE - (within % PIECE)), last + 1 - start);
}

@inline
function fetchPiece(call: usize, cell: usize, length: i32, sink: usize): void {
  const keyStride = address(call, 4);
  const valueStride = address(call, 6);
  const keys = address(call, 3) + cell * keyStride;
  const values = address(call, 5) + cell * valueStride;
  fetchBoth(keys, <usize>length * keyStride, values, <usize>length * valueStride, sink);
}

function clear(state: usize, y: usize, headLength: i32): void {
  store<f32>(state, -Infinity);
  store<f32>(state, 0, 4);
  memory.fill(y, 0, <usize>headLength << 2);
}

/** Adds a span to what was joined before it: `state` has the largest score and the sum, `y` the mixed values. */
function join(state: usize, y: usize, largest: f32, sum: f32, values: usize, step: usize, headLength: i32): void {
  const before = load<f32>(state);
  const now = max(before, largest);
  const factor = exponentialOf(before - now);
  const spanFactor = exponentialOf(largest - now);
  store<f32>(state, now);
  store<f32>(state, load<f32>(state, 4) * factor + sum * spanFactor, 4);
  const factors = f32x4.splat(factor);
  const spanFactors = f32x4.splat(spanFactor);
  const end = y + (<usize>headLength << 2);
  for (let at = y; at < end; at += 16) {
    v128.store(at, f32x4.add(f32x4.mul(v128.load(at), factors), f32x4.mul(v128.load(values), spanFactors)));
    values += step;
  }
}

@inline
function scaleRow(y: usize, headLength: i32, factor: f32): void {
  for (let c = 0; c < headLength; c += 4) {
    const at = y + (<usize>c << 2);
    v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(factor)));
  }
}
