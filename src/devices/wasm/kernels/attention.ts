/**
 * attention: threads share the pairs of a token and a key/value head. The query heads that use one key/value head are
 * done together, position by position in pieces of a page, so that each key and value is read once for the group.
 *
 * The softmax runs along with the pieces: when a larger score comes, what was summed so far is scaled down. Pieces
 * depend on positions and the page length only, so a token's bits do not depend on its neighbours in the step.
 *
 * Words: q, stride, keys, stride, values, stride, y, stride, positions, sequences, pages, stride, page length, count,
 * key/value heads, group, head length, scale, window, scratch, its bytes a thread, HALF_MASK, HALF_POWER.
 */
import { address, float, integer, shareFirst } from "./call";
import { exponential, exponentialOf, finiteHalves, largestLane, multiplyAdd, sumLanes } from "./numbers";

/** Positions in a piece, at most. Scores of a piece stay in the scratch space. */
const PIECE = 64;

export function attention(call: usize, thread: i32, threadCount: i32): void {
  const kvHeads = integer(call, 15);
  const group = integer(call, 16);
  const headLength = integer(call, 17);
  const window = integer(call, 19);
  const items = load<i32>(address(call, 14)) * kvHeads;
  const scratch = address(call, 20) + <usize>thread * address(call, 21);
  const last = shareFirst(items, thread + 1, threadCount);
  for (let item = shareFirst(items, thread, threadCount); item < last; item++) {
    const row = item / kvHeads;
    const kvHead = item % kvHeads;
    const word = <usize>row << 2;
    const position = load<i32>(address(call, 9) + word);
    const sequence = load<i32>(address(call, 10) + word);
    const pages = address(call, 11) + <usize>sequence * address(call, 12);
    const headOffset = <usize>(kvHead * group * headLength) << 2;
    const q = address(call, 1) + <usize>row * address(call, 2) + headOffset;
    const y = address(call, 7) + <usize>row * address(call, 8) + headOffset;
    const first = window > 0 ? max(0, position - window + 1) : 0;
    attendGroup(call, q, y, pages, <usize>(kvHead * headLength) << 1, first, position, scratch);
  }
}

/** Query heads [0, group) at `q` over the positions first … last, into `y`. */
function attendGroup(
  call: usize,
  q: usize,
  y: usize,
  pages: usize,
  cacheOffset: usize,
  first: i32,
  last: i32,
  scratch: usize,
): void {
  const keyStride = address(call, 4);
  const valueStride = address(call, 6);
  const pageLength = integer(call, 13);
  const group = integer(call, 16);
  const headLength = integer(call, 17);
  const headBytes = <usize>headLength << 2;
  const scale = float(call, 18);
  const mask = v128.load32_splat(call + 4 * 22);
  const power = v128.load32_splat(call + 4 * 23);
  // Of each head: the largest score so far and the sum of exponentials, then its scores of the piece.
  const scores = scratch + (<usize>group << 3);
  for (let head = 0; head < group; head++) {
    store<f32>(scratch + (<usize>head << 3), -Infinity);
    store<f32>(scratch + (<usize>head << 3), 0, 4);
    memory.fill(y + <usize>head * headBytes, 0, headBytes);
  }
  for (let start = first; start <= last; ) {
    const within = start % pageLength;
    const length = min(min(pageLength - within, PIECE - (within % PIECE)), last + 1 - start);
    const cell = load<i32>(pages + (<usize>(start / pageLength) << 2)) * pageLength + within;
    const keys = address(call, 3) + <usize>cell * keyStride + cacheOffset;
    const values = address(call, 5) + <usize>cell * valueStride + cacheOffset;
    for (let p = 0; p < length; p++) {
      const key = keys + <usize>p * keyStride;
      for (let head = 0; head < group; head++) {
        const score = scale * dotHalves(q + <usize>head * headBytes, key, headLength, mask, power);
        store<f32>(scores + (<usize>(head * PIECE + p) << 2), score);
      }
    }
    for (let head = 0; head < group; head++) {
      const state = scratch + (<usize>head << 3);
      const headScores = scores + (<usize>(head * PIECE) << 2);
      const output = y + <usize>head * headBytes;
      toWeights(state, headScores, length, output, headLength);
      addValues(output, headScores, values, valueStride, length, headLength, mask, power);
    }
    start += length;
  }
  for (let head = 0; head < group; head++) {
    const inverse: f32 = 1 / load<f32>(scratch + (<usize>head << 3), 4);
    scaleRow(y + <usize>head * headBytes, headLength, inverse);
  }
}

/** Σ q · k over a head, k in f16. */
@inline
function dotHalves(q: usize, k: usize, headLength: i32, mask: v128, power: v128): f32 {
  let sum = f32x4.splat(0);
  for (let c = 0; c < headLength; c += 4)
    sum = multiplyAdd(v128.load(q + (<usize>c << 2)), finiteHalves(k + (<usize>c << 1), mask, power), sum);
  return sumLanes(sum);
}

/** Turns a piece's scores into e^(score − largest) and scales what came before to the same largest score. */
function toWeights(state: usize, scores: usize, length: i32, output: usize, headLength: i32): void {
  // Fill the last vector with −∞, whose exponential is 0.
  const end = (length + 3) & ~3;
  for (let p = length; p < end; p++) store<f32>(scores + (<usize>p << 2), -Infinity);
  let lanes = f32x4.splat(load<f32>(state));
  for (let p = 0; p < end; p += 4) lanes = f32x4.max(lanes, v128.load(scores + (<usize>p << 2)));
  const largest = largestLane(lanes);
  const before = load<f32>(state);
  if (largest > before) {
    const factor = exponentialOf(before - largest);
    scaleRow(output, headLength, factor);
    store<f32>(state, load<f32>(state, 4) * factor, 4);
    store<f32>(state, largest);
  }
  const subtracted = f32x4.splat(largest);
  let sums = f32x4.splat(0);
  for (let p = 0; p < end; p += 4) {
    const at = scores + (<usize>p << 2);
    const e = exponential(f32x4.sub(v128.load(at), subtracted));
    v128.store(at, e);
    sums = f32x4.add(sums, e);
  }
  store<f32>(state, load<f32>(state, 4) + sumLanes(sums), 4);
}

/** output += Σ weight · value, four channels at a time. */
@inline
function addValues(
  output: usize,
  weights: usize,
  values: usize,
  stride: usize,
  length: i32,
  headLength: i32,
  mask: v128,
  power: v128,
): void {
  for (let c = 0; c < headLength; c += 4) {
    let sum = v128.load(output + (<usize>c << 2));
    let value = values + (<usize>c << 1);
    for (let p = 0; p < length; p++) {
      sum = multiplyAdd(v128.load32_splat(weights + (<usize>p << 2)), finiteHalves(value, mask, power), sum);
      value += stride;
    }
    v128.store(output + (<usize>c << 2), sum);
  }
}

@inline
function scaleRow(y: usize, headLength: i32, factor: f32): void {
  for (let c = 0; c < headLength; c += 4) {
    const at = y + (<usize>c << 2);
    v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(factor)));
  }
}
