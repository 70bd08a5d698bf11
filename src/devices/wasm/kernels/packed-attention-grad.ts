/**
 * packedAttentionGrad: threads share the pairs of a window and a key/value head. Lanes are keys, eight at a time:
 *
 *   p[t][8 keys] = e^(scale · q[t] · k − logSumExp[t])      ds[t][8 keys] = p · (dy[t] · v − D[t])
 *   dvᵀ[c][8 keys] += Σ over t of dy[t][c] · p[t]           dkᵀ[c][8 keys] += scale · Σ over t of q[t][c] · ds[t]
 *
 * and for each 64 keys, with ds turned so that lanes are queries: dqᵀ[c][8 queries] += scale · Σ over s of k[s][c] · ds.
 * Every product is tiles of float-tile.ts. Heads of a group add to the same dk and dv one after the other.
 *
 * Rows beyond the window's are zeros with a logSumExp of ∞, which makes their p and ds 0.
 *
 * Words: q, stride, k, stride, v, stride, y, stride, logSumExp, stride, starts, length, head length, scale, count,
 * key/value heads, group, scratch, its bytes a thread, padded length (a multiple of 24), dy, stride, dq, stride, dk,
 * stride, dv, stride.
 */
import { takePiece } from "./barrier";
import { address, float, integer } from "./call";
import { copySix, gatherEight, gatherSix, spreadEight } from "./float-panels";
import { A_STEP, B_STEP, multiplyTile } from "./float-tile";
import { exponential, sumLanes } from "./numbers";

/** Keys whose ds are kept until they are multiplied with k. */
const CHUNK = 64;

// Where the parts of a thread's scratch space are; set at the start of each call, for each thread has its own module.
let keys: usize = 0;
let values: usize = 0;
let keySteps: usize = 0;
let keyGradients: usize = 0;
let valueGradients: usize = 0;
let queries: usize = 0;
let outputs: usize = 0;
let querySteps: usize = 0;
let outputSteps: usize = 0;
let queryGradients: usize = 0;
let weights: usize = 0;
let slopes: usize = 0;
let turned: usize = 0;
let rowNumbers: usize = 0;

export function packedAttentionGrad(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 15));
  const length = integer(call, 12);
  const kvHeads = integer(call, 16);
  const group = integer(call, 17);
  layOut(address(call, 18) + <usize>thread * address(call, 19), integer(call, 20), integer(call, 13));
  const units = ((count + length - 1) / length) * kvHeads;
  for (let unit = takePiece(control); unit < units; unit = takePiece(control)) {
    const first = (unit / kvHeads) * length;
    const rows = min(length, count - first);
    const kvHead = unit % kvHeads;
    packKeys(call, first, rows, kvHead);
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
      packQueries(call, first, rows, head);
      for (let chunk = 0; chunk < rows; chunk += CHUNK) oneChunk(call, chunk, rows);
      const to = address(call, 23) + headAt(call, first, head, 24);
      spread(queryGradients, rows, integer(call, 13), to, address(call, 24));
    }
    spread(keyGradients, rows, integer(call, 13), address(call, 25) + headAt(call, first, kvHead, 26), address(call, 26));
    spread(valueGradients, rows, integer(call, 13), address(call, 27) + headAt(call, first, kvHead, 28), address(call, 28));
  }
}

/** Room for `padded` rows in each part. */
function layOut(scratch: usize, padded: i32, headLength: i32): void {
  const plain = (<usize>padded * <usize>headLength) << 2;
  const wide = (<usize>padded * <usize>(headLength + 5)) << 2;
  keys = scratch;
  values = keys + plain;
  keySteps = values + plain;
  keyGradients = keySteps + wide;
  valueGradients = keyGradients + wide;
  queries = valueGradients + wide;
  outputs = queries + plain;
  querySteps = outputs + plain;
  outputSteps = querySteps + wide;
  queryGradients = outputSteps + wide;
  weights = queryGradients + wide;
  slopes = weights + <usize>padded * B_STEP;
  turned = slopes + <usize>padded * B_STEP;
  rowNumbers = turned + <usize>padded * (CHUNK << 2);
}

/** Byte of a head in the first row of a window, for a matrix whose stride is word `strideWord`. */
@inline
function headAt(call: usize, first: i32, head: i32, strideWord: usize): usize {
  return <usize>first * address(call, strideWord) + (<usize>(head * integer(call, 13)) << 2);
}

/** Rows in panels of 8, whose steps are channels, up to a multiple of 8. */
function gatherEights(source: usize, stride: usize, rows: i32, headLength: i32, target: usize): void {
  for (let row = 0; row < rows; row += 8) {
    gatherEight(source + <usize>row * stride, stride, min(8, rows - row), headLength, target);
    target += B_STEP * <usize>headLength;
  }
}

/** Rows in panels of 6, whose steps are channels; zeros up to `padded`. */
function gatherSixes(source: usize, stride: usize, rows: i32, padded: i32, headLength: i32, target: usize): void {
  for (let row = 0; row < padded; row += 6) {
    gatherSix(source + <usize>row * stride, stride, max(0, min(6, rows - row)), headLength, target);
    target += A_STEP * <usize>headLength;
  }
}

/** Channels in panels of 6, whose steps are rows. */
function copySixes(source: usize, stride: usize, rows: i32, headLength: i32, target: usize): void {
  for (let channel = 0; channel < headLength; channel += 6) {
    copySix(source + (<usize>channel << 2), stride, min(6, headLength - channel), rows, target);
    target += A_STEP * <usize>rows;
  }
}

/** Panels of 8 rows, as many steps as channels, back to rows. */
function spread(panels: usize, rows: i32, headLength: i32, target: usize, stride: usize): void {
  const ones = f32x4.splat(1);
  for (let row = 0; row < rows; row += 8) {
    spreadEight(panels, headLength, min(8, rows - row), target + <usize>row * stride, stride, ones, ones);
    panels += B_STEP * <usize>(headLength + 5);
  }
}

function packKeys(call: usize, first: i32, rows: i32, kvHead: i32): void {
  const headLength = integer(call, 13);
  const keyStride = address(call, 4);
  const k = address(call, 3) + headAt(call, first, kvHead, 4);
  gatherEights(k, keyStride, rows, headLength, keys);
  copySixes(k, keyStride, rows, headLength, keySteps);
  gatherEights(address(call, 5) + headAt(call, first, kvHead, 6), address(call, 6), rows, headLength, values);
  const bytes = (<usize>integer(call, 20) * <usize>(headLength + 5)) << 2;
  memory.fill(keyGradients, 0, bytes);
  memory.fill(valueGradients, 0, bytes);
}

/** A query's numbers, each list with room for all: logSumExp, D, first and last key that it sees. */
@inline
function listAt(call: usize, list: usize): usize {
  return rowNumbers + list * (<usize>integer(call, 20) << 2);
}

function packQueries(call: usize, first: i32, rows: i32, head: i32): void {
  const headLength = integer(call, 13);
  const padded = integer(call, 20);
  const q = address(call, 1) + headAt(call, first, head, 2);
  const dy = address(call, 21) + headAt(call, first, head, 22);
  const y = address(call, 7) + headAt(call, first, head, 8);
  gatherSixes(q, address(call, 2), rows, padded, headLength, queries);
  copySixes(q, address(call, 2), rows, headLength, querySteps);
  gatherSixes(dy, address(call, 22), rows, padded, headLength, outputs);
  copySixes(dy, address(call, 22), rows, headLength, outputSteps);
  memory.fill(queryGradients, 0, (<usize>padded * <usize>(headLength + 5)) << 2);
  for (let row = 0; row < padded; row++) {
    const at = <usize>row << 2;
    const live = row < rows;
    const logAt = address(call, 9) + <usize>(first + row) * address(call, 10) + (<usize>head << 2);
    store<f32>(listAt(call, 0) + at, live ? load<f32>(logAt) : Infinity);
    const product: f32 = live
      ? dot(y + <usize>row * address(call, 8), dy + <usize>row * address(call, 22), headLength)
      : 0;
    store<f32>(listAt(call, 1) + at, product);
    store<i32>(listAt(call, 2) + at, live ? load<i32>(address(call, 11) + (<usize>(first + row) << 2)) - first : row);
  }
}

@inline
function dot(a: usize, b: usize, length: i32): f32 {
  let sum = f32x4.splat(0);
  const end = <usize>length << 2;
  for (let at: usize = 0; at < end; at += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(a + at), v128.load(b + at)));
  return sumLanes(sum);
}

/** Keys [chunk, chunk + CHUNK) and all queries that see one of them. */
function oneChunk(call: usize, chunk: i32, rows: i32): void {
  const headLength = integer(call, 13);
  const scale = float(call, 14);
  const keyEnd = min(chunk + CHUNK, rows);
  const panels = (integer(call, 20) + 7) >> 3;
  memory.fill(turned, 0, <usize>panels * CHUNK * B_STEP);
  let queryEnd = chunk;
  for (let key = chunk; key < keyEnd; key += 8)
    queryEnd = max(queryEnd, eightKeys(call, key, chunk, rows));
  for (let row = chunk; row < queryEnd; row += 8) {
    // Later keys than its own no query sees.
    const depth = min(keyEnd, row + 8) - chunk;
    const b = turned + <usize>(row >> 3) * CHUNK * B_STEP;
    let c = queryGradients + <usize>(row >> 3) * B_STEP * <usize>(headLength + 5);
    let a = keySteps + <usize>chunk * A_STEP;
    for (let channel = 0; channel < headLength; channel += 6) {
      multiplyTile(a, b, depth, c, B_STEP, c, B_STEP, scale);
      a += A_STEP * <usize>rows;
      c += 6 * B_STEP;
    }
  }
}

/** Keys [key, key + 8). Returns the row after the last query that sees one of them, up to a multiple of 8. */
function eightKeys(call: usize, key: i32, chunk: i32, rows: i32): i32 {
  const headLength = integer(call, 13);
  const scale = float(call, 14);
  const starts = listAt(call, 2);
  let end = rows;
  while (load<i32>(starts + (<usize>(end - 1) << 2)) > key + 7) end--;
  const panel = <usize>(key >> 3) * B_STEP * <usize>headLength;
  const stop = (end + 7) & ~7;
  for (let tile = key / 6; tile * 6 < stop; tile++) {
    const a = <usize>tile * A_STEP * <usize>headLength;
    const c = <usize>tile * 6 * B_STEP;
    multiplyTile(queries + a, keys + panel, headLength, weights + c, B_STEP, 0, 0, scale);
    multiplyTile(outputs + a, values + panel, headLength, slopes + c, B_STEP, 0, 0, 1);
  }
  toSlopes(call, key, stop);
  const depth = min(stop, rows) - key;
  const at = <usize>key * A_STEP;
  const from = <usize>key * B_STEP;
  let c = <usize>(key >> 3) * B_STEP * <usize>(headLength + 5);
  let a = at;
  for (let channel = 0; channel < headLength; channel += 6) {
    multiplyTile(outputSteps + a, weights + from, depth, valueGradients + c, B_STEP, valueGradients + c, B_STEP, 1);
    multiplyTile(querySteps + a, slopes + from, depth, keyGradients + c, B_STEP, keyGradients + c, B_STEP, scale);
    a += A_STEP * <usize>rows;
    c += 6 * B_STEP;
  }
  for (let row = key; row < stop; row += 8)
    turnEight(slopes + <usize>row * B_STEP, turned + (<usize>(row >> 3) * CHUNK + <usize>(key - chunk)) * B_STEP);
  return stop;
}

/** Scores to p, and dy · v to ds, for the queries [key, stop). */
function toSlopes(call: usize, key: i32, stop: i32): void {
  const logs = listAt(call, 0);
  const products = listAt(call, 1);
  const starts = listAt(call, 2);
  const lowerKeys = i32x4.add(i32x4.splat(key), i32x4(0, 1, 2, 3));
  const upperKeys = i32x4.add(lowerKeys, i32x4.splat(4));
  for (let row = key; row < stop; row++) {
    const list = <usize>row << 2;
    const byte = <usize>row * B_STEP;
    const log = v128.load32_splat(logs + list);
    const product = v128.load32_splat(products + list);
    const start = v128.load32_splat(starts + list);
    const last = i32x4.splat(row);
    const lowerSeen = v128.and(i32x4.ge_s(lowerKeys, start), i32x4.le_s(lowerKeys, last));
    const upperSeen = v128.and(i32x4.ge_s(upperKeys, start), i32x4.le_s(upperKeys, last));
    const lower = v128.and(exponential(f32x4.sub(v128.load(weights + byte), log)), lowerSeen);
    const upper = v128.and(exponential(f32x4.sub(v128.load(weights + byte, 16), log)), upperSeen);
    v128.store(weights + byte, lower);
    v128.store(weights + byte, upper, 16);
    v128.store(slopes + byte, f32x4.mul(lower, f32x4.sub(v128.load(slopes + byte), product)));
    v128.store(slopes + byte, f32x4.mul(upper, f32x4.sub(v128.load(slopes + byte, 16), product)), 16);
  }
}

/** Eight rows of eight, turned. */
@inline
function turnEight(source: usize, target: usize): void {
  gatherEight(source, B_STEP, 8, 8, target);
}
