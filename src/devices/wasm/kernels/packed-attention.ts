/**
 * packedAttention: threads share the pairs of a window and a query head. Lanes are queries, eight at a time:
 *
 *   scores[s][8 queries] = scale · k[s] · q       largest, e^(score − largest) and its sum lane by lane
 *   yᵀ[c][8 queries] = Σ over s of v[s][c] · weights[s]       then turned and divided by the sum
 *
 * Both products are tiles of float-tile.ts; the weights come out in the order that the second takes. All scores of
 * eight queries exist at once, so that nothing has to be scaled again.
 *
 * Words: q, stride, k, stride, v, stride, y, stride, logSumExp, stride, starts, length, head length, scale, count,
 * heads, group, scratch, its bytes a thread, padded length.
 */
import { takePiece } from "./barrier";
import { address, float, integer } from "./call";
import { copySix, gatherEight, gatherSix, spreadEight } from "./float-panels";
import { A_STEP, B_STEP, multiplyTile } from "./float-tile";
import { exponential } from "./numbers";

/** Starts and rows of eight queries, before the panels. */
const ROW_NUMBERS: usize = 64;

export function packedAttention(call: usize, control: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 15));
  const length = integer(call, 12);
  const heads = integer(call, 16);
  const group = integer(call, 17);
  const headLength = integer(call, 13);
  const units = ((count + length - 1) / length) * heads;
  const scratch = address(call, 18) + <usize>thread * address(call, 19);
  const padded = <usize>integer(call, 20);
  const keys = scratch + ROW_NUMBERS;
  const values = keys + ((padded * <usize>headLength) << 2);
  const rest = values + <usize>((headLength + 5) / 6) * A_STEP * padded;
  let packed = -1;
  for (let unit = takePiece(control); unit < units; unit = takePiece(control)) {
    const first = (unit / heads) * length;
    const rows = min(length, count - first);
    const head = unit % heads;
    const kvHead = head / group;
    const kvUnit = unit / group;
    // The heads of a group have the same keys and values, unless another thread came between.
    if (kvUnit != packed) packKeysAndValues(call, first, rows, kvHead, keys, values);
    packed = kvUnit;
    for (let row = 0; row < rows; row += 8)
      attendEight(call, first, row, min(8, rows - row), rows, head, scratch, keys, values, rest);
  }
}

function packKeysAndValues(call: usize, first: i32, rows: i32, kvHead: i32, keys: usize, values: usize): void {
  const headLength = integer(call, 13);
  const byte = <usize>(kvHead * headLength) << 2;
  const keyStride = address(call, 4);
  const k = address(call, 3) + <usize>first * keyStride + byte;
  for (let row = 0; row < rows; row += 6) {
    gatherSix(k + <usize>row * keyStride, keyStride, min(6, rows - row), headLength, keys);
    keys += A_STEP * <usize>headLength;
  }
  const valueStride = address(call, 6);
  const v = address(call, 5) + <usize>first * valueStride + byte;
  for (let channel = 0; channel < headLength; channel += 6) {
    copySix(v + (<usize>channel << 2), valueStride, min(6, headLength - channel), rows, values);
    values += A_STEP * <usize>rows;
  }
}

/** Queries [row, row + size) of the window that starts at row `first` of the step. */
function attendEight(
  call: usize,
  first: i32,
  row: i32,
  size: i32,
  rows: i32,
  head: i32,
  numbers: usize,
  keys: usize,
  values: usize,
  rest: usize,
): void {
  const headLength = integer(call, 13);
  const byte = <usize>(head * headLength) << 2;
  const stride = address(call, 2);
  const query = rest;
  const mixed = query + B_STEP * <usize>headLength;
  const scores = mixed + B_STEP * <usize>(headLength + 5);
  gatherEight(address(call, 1) + <usize>(first + row) * stride + byte, stride, size, headLength, query);
  const begin = readStarts(address(call, 11), first, row, size, numbers);
  const end = row + size;
  for (let tile = begin / 6; tile * 6 < end; tile++) {
    const at = keys + <usize>tile * A_STEP * <usize>headLength;
    multiplyTile(at, query, headLength, scores + <usize>tile * 6 * B_STEP, B_STEP, 0, 0, float(call, 14));
  }
  const weights = scores + <usize>begin * B_STEP;
  softmax(weights, begin, end, numbers);
  for (let channel = 0; channel < headLength; channel += 6) {
    const at = values + <usize>(channel / 6) * A_STEP * <usize>rows + <usize>begin * A_STEP;
    multiplyTile(at, weights, end - begin, mixed + <usize>channel * B_STEP, B_STEP, 0, 0, 1);
  }
  // softmax left the largest scores and the sums where the starts were.
  const ones = f32x4.splat(1);
  const lower = f32x4.div(ones, v128.load(numbers, 32));
  const upper = f32x4.div(ones, v128.load(numbers, 48));
  const outputStride = address(call, 8);
  const y = address(call, 7) + <usize>(first + row) * outputStride + byte;
  spreadEight(mixed, headLength, size, y, outputStride, lower, upper);
  for (let lane = 0; lane < size; lane++) {
    const at = numbers + (<usize>lane << 2);
    const log = <f64>load<f32>(at) + NativeMath.log(<f64>load<f32>(at, 32));
    const to = address(call, 9) + <usize>(first + row + lane) * address(call, 10) + (<usize>head << 2);
    store<f32>(to, <f32>log);
  }
}

/** What each of eight queries sees, as rows of the window: first ones, then last ones. Returns the first of all. */
function readStarts(starts: usize, first: i32, row: i32, size: i32, numbers: usize): i32 {
  let begin = row;
  for (let lane = 0; lane < 8; lane++) {
    const own = row + min(lane, size - 1);
    const start = load<i32>(starts + (<usize>(first + own) << 2)) - first;
    store<i32>(numbers + (<usize>lane << 2), start);
    store<i32>(numbers + (<usize>lane << 2), own, 32);
    begin = min(begin, start);
  }
  return begin;
}

/** Scores of the keys [begin, end) to weights that are to be divided by their sum, which goes to `numbers` + 32. */
function softmax(scores: usize, begin: i32, end: i32, numbers: usize): void {
  const lowerStart = v128.load(numbers);
  const upperStart = v128.load(numbers, 16);
  const lowerLast = v128.load(numbers, 32);
  const upperLast = v128.load(numbers, 48);
  const nothing = f32x4.splat(-Infinity);
  let lowerLargest = nothing;
  let upperLargest = nothing;
  // Keys between these two all queries see.
  const inner = min(end, largestStart(numbers));
  const outer = max(inner, load<i32>(numbers, 32) + 1);
  let at = scores;
  for (let key = begin; key < end; key++) {
    if (key == inner) {
      for (; key < outer; key++) {
        lowerLargest = f32x4.pmax(lowerLargest, v128.load(at));
        upperLargest = f32x4.pmax(upperLargest, v128.load(at, 16));
        at += B_STEP;
      }
      if (key == end) break;
    }
    const index = i32x4.splat(key);
    const lowerSeen = v128.and(i32x4.ge_s(index, lowerStart), i32x4.le_s(index, lowerLast));
    const upperSeen = v128.and(i32x4.ge_s(index, upperStart), i32x4.le_s(index, upperLast));
    const lower = v128.bitselect(v128.load(at), nothing, lowerSeen);
    const upper = v128.bitselect(v128.load(at, 16), nothing, upperSeen);
    v128.store(at, lower);
    v128.store(at, upper, 16);
    lowerLargest = f32x4.pmax(lowerLargest, lower);
    upperLargest = f32x4.pmax(upperLargest, upper);
    at += B_STEP;
  }
  let lowerSum = f32x4.splat(0);
  let upperSum = f32x4.splat(0);
  const stop = at;
  for (at = scores; at < stop; at += B_STEP) {
    const lower = exponential(f32x4.sub(v128.load(at), lowerLargest));
    const upper = exponential(f32x4.sub(v128.load(at, 16), upperLargest));
    v128.store(at, lower);
    v128.store(at, upper, 16);
    lowerSum = f32x4.add(lowerSum, lower);
    upperSum = f32x4.add(upperSum, upper);
  }
  v128.store(numbers, lowerLargest);
  v128.store(numbers, upperLargest, 16);
  v128.store(numbers, lowerSum, 32);
  v128.store(numbers, upperSum, 48);
}

function largestStart(numbers: usize): i32 {
  let largest = load<i32>(numbers);
  for (let lane: usize = 4; lane < 32; lane += 4) largest = max(largest, load<i32>(numbers + lane));
  return largest;
}
