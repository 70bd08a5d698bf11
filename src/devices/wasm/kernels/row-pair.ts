/**
 * A block of two groups of 8 rows times one token's 32 columns.
 *
 * Both memory and the number of instructions bound it: a vector of activations is read once for both groups, and the steps of
 * nibbles are written out, as in panel-tile.ts. Between blocks a group has a slot:
 *
 *   0 sums of rows 0-3     16 of rows 4-7     32 in K formats the scales of their scales     64 the same for offsets
 */
import { Q4_0, Q4_1, Q4_K, Q6_K, SUM_PAIRS, SUM_QUADS_OF_BYTES } from "./codes";
import { dotNarrow, dotWide, highNibbles, pairs, quads } from "./dots";
import { byteScales, hasByteScales, hasOffsets, hasShortGroups, isWide, quants, quantsAt, scaleBytes, scales } from "./formats";
import { finiteHalves, multiplyAdd } from "./numbers";
import { RECORD_PAIRS, RECORD_SCALE, RECORD_SECOND_SUM, RECORD_SUM } from "./quantize-activations";

export const SLOT: usize = 96;
const HEADS: usize = 32;
const OFFSET_HEADS: usize = 64;

export function clearSlots(slots: usize, count: i32): void {
  for (const end = slots + <usize>count * SLOT; slots < end; slots += SLOT) {
    v128.store(slots, f32x4.splat(0));
    v128.store(slots, f32x4.splat(0), 16);
  }
}

/** Heads of some groups, which are `bytes` apart, into their slots. */
export function unpackHeads(
  format: i32,
  w: usize,
  bytes: usize,
  count: i32,
  slots: usize,
  halfMask: v128,
  halfPower: v128,
): void {
  for (let slot = slots, end = slots + <usize>count * SLOT; slot < end; slot += SLOT) {
    v128.store(slot, finiteHalves(w, halfMask, halfPower), HEADS);
    v128.store(slot, finiteHalves(w + 8, halfMask, halfPower), HEADS + 16);
    if (hasOffsets(format)) {
      v128.store(slot, f32x4.neg(finiteHalves(w + 16, halfMask, halfPower)), OFFSET_HEADS);
      v128.store(slot, f32x4.neg(finiteHalves(w + 24, halfMask, halfPower)), OFFSET_HEADS + 16);
    }
    w += bytes;
  }
}

/**
 * Adds a block's products to the slots at `slot`. `at` and `next` are where the groups' blocks begin, `record` has the token's
 * activations. `pairOnes` has 1 in every 16 bits; masks: see `quants`; halves: see `finiteHalves`.
 */
@inline
export function addPair(
  format: i32,
  mode: i32,
  at: usize,
  next: usize,
  record: usize,
  slot: usize,
  pairOnes: v128,
  nibbleMask: v128,
  twosMask: v128,
  onesMask: v128,
  halfMask: v128,
  halfPower: v128,
): void {
  const q = at + quantsAt(format);
  const p = next + quantsAt(format);
  let a = i32x4.splat(0), b = a, c = a, d = a;
  if (isNibbles(format)) {
    a = startNibbles(format, mode, record);
    b = startHigh(format, mode, a);
    c = a;
    d = b;
    let x = v128.load32_splat(record);
    let n = v128.load(q);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 4);
    n = v128.load(q, 16);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 16);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 8);
    n = v128.load(q, 32);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 32);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 12);
    n = v128.load(q, 48);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 48);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 16);
    n = v128.load(q, 64);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 64);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 20);
    n = v128.load(q, 80);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 80);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 24);
    n = v128.load(q, 96);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 96);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    x = v128.load32_splat(record, 28);
    n = v128.load(q, 112);
    a = step(mode, a, x, v128.and(n, nibbleMask));
    b = stepHigh(mode, b, x, n, nibbleMask);
    n = v128.load(p, 112);
    c = step(mode, c, x, v128.and(n, nibbleMask));
    d = stepHigh(mode, d, x, n, nibbleMask);
    if (mode == SUM_PAIRS) {
      a = i32x4.dot_i16x8_s(a, pairOnes);
      b = i32x4.dot_i16x8_s(b, pairOnes);
      c = i32x4.dot_i16x8_s(c, pairOnes);
      d = i32x4.dot_i16x8_s(d, pairOnes);
    } else {
      b = endHigh(mode, b, a);
      d = endHigh(mode, d, c);
    }
  } else {
    // Σ of the first 16 columns, for short groups; else of all 32.
    a = startSum(format, record, 0);
    b = a;
    c = a;
    d = a;
    let x0 = v128.load32_splat(record);
    let x1 = v128.load32_splat(record, 4);
    let x2 = v128.load32_splat(record, 8);
    let x3 = v128.load32_splat(record, 12);
    a = dotQuants(format, mode, q, 0, false, a, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    b = dotQuants(format, mode, q, 0, true, b, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    c = dotQuants(format, mode, p, 0, false, c, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    d = dotQuants(format, mode, p, 0, true, d, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    if (hasShortGroups(format)) {
      addScaled(format, at, 0, record, a, b, slot, halfMask, halfPower);
      addScaled(format, next, 0, record, c, d, slot + SLOT, halfMask, halfPower);
      a = startSum(format, record, 1);
      b = a;
      c = a;
      d = a;
    }
    x0 = v128.load32_splat(record, 16);
    x1 = v128.load32_splat(record, 20);
    x2 = v128.load32_splat(record, 24);
    x3 = v128.load32_splat(record, 28);
    a = dotQuants(format, mode, q, 4, false, a, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    b = dotQuants(format, mode, q, 4, true, b, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    c = dotQuants(format, mode, p, 4, false, c, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
    d = dotQuants(format, mode, p, 4, true, d, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
  }
  const group = hasShortGroups(format) ? 1 : 0;
  addScaled(format, at, group, record, a, b, slot, halfMask, halfPower);
  addScaled(format, next, group, record, c, d, slot + SLOT, halfMask, halfPower);
}

/** Adds a group of columns' integer sums times their scales to a slot's; the last one's offsets too. */
@inline
function addScaled(
  format: i32,
  w: usize,
  group: i32,
  record: usize,
  a: v128,
  b: v128,
  slot: usize,
  halfMask: v128,
  halfPower: v128,
): void {
  const scale = v128.load32_splat(record, RECORD_SCALE);
  let lower = v128.load(slot);
  let upper = v128.load(slot, 16);
  lower = multiplyAdd(f32x4.convert_i32x4_s(a), f32x4.mul(scaleOf(format, w, HEADS, group, false, slot, halfMask, halfPower), scale), lower);
  upper = multiplyAdd(f32x4.convert_i32x4_s(b), f32x4.mul(scaleOf(format, w, HEADS, group, true, slot, halfMask, halfPower), scale), upper);
  if (hasOffsets(format) && (!hasShortGroups(format) || group == 1)) {
    const offsets = w + scaleBytes(format);
    let sum = v128.load32_splat(record, RECORD_SUM);
    lower = multiplyAdd(scaleOf(format, offsets, OFFSET_HEADS, 0, false, slot, halfMask, halfPower), sum, lower);
    upper = multiplyAdd(scaleOf(format, offsets, OFFSET_HEADS, 0, true, slot, halfMask, halfPower), sum, upper);
    if (hasShortGroups(format)) {
      sum = v128.load32_splat(record, RECORD_SECOND_SUM);
      lower = multiplyAdd(scaleOf(format, offsets, OFFSET_HEADS, 1, false, slot, halfMask, halfPower), sum, lower);
      upper = multiplyAdd(scaleOf(format, offsets, OFFSET_HEADS, 1, true, slot, halfMask, halfPower), sum, upper);
    }
  }
  v128.store(slot, lower);
  v128.store(slot, upper, 16);
}

/** Scales (offsets) of four rows; `heads` is where the slot has their scales of scales. */
@inline
function scaleOf(
  format: i32,
  at: usize,
  heads: usize,
  group: i32,
  upper: bool,
  slot: usize,
  halfMask: v128,
  halfPower: v128,
): v128 {
  const head = v128.load(slot + heads + (upper ? 16 : 0));
  if (hasByteScales(format)) return byteScales(v128.load8x8_s(at), upper, head);
  return scales(format, at, group, upper, head, halfMask, halfPower);
}

/** Quants of 4 bits and nothing besides. */
@inline
function isNibbles(format: i32): bool {
  return format == Q4_0 || format == Q4_1 || format == Q4_K;
}

/** sum + Σ over 4 columns of x · q, for nibbles: 16 bits hold the pairs of a whole block. */
@inline
function step(mode: i32, sum: v128, x: v128, q: v128): v128 {
  if (mode == SUM_PAIRS) return i16x8.add(sum, pairs(x, q));
  return quads(sum, x, q);
}

/**
 * The same for the high nibbles of bytes. Where bytes may be factors, they are multiplied as they are, low nibbles
 * included: two instructions less than taking the nibbles out. `startHigh` and `endHigh` see to the difference:
 *
 *   Σ x · h = (Σ x · (16 h + l) − Σ x · l) / 16
 */
@inline
function stepHigh(mode: i32, sum: v128, x: v128, bytes: v128, nibbleMask: v128): v128 {
  if (mode == SUM_QUADS_OF_BYTES) return quads(sum, x, bytes);
  return step(mode, sum, x, highNibbles(bytes, nibbleMask));
}

/** What the sum of high nibbles starts with, that of low ones with `low`: both are to hold that in the end. */
@inline
function startHigh(format: i32, mode: i32, low: v128): v128 {
  if (mode != SUM_QUADS_OF_BYTES || hasOffsets(format)) return low;
  return i32x4.add(low, i32x4.shl(low, 4));
}

@inline
function endHigh(mode: i32, high: v128, low: v128): v128 {
  return mode == SUM_QUADS_OF_BYTES ? i32x4.shr_s(i32x4.sub(high, low), 4) : high;
}

/** What an integer sum starts with: −bias · Σ x, so that unsigned quants count as signed. */
@inline
function startSum(format: i32, record: usize, group: i32): v128 {
  if (hasOffsets(format)) return i32x4.splat(0);
  return group == 0 ? v128.load32_splat(record, RECORD_SUM) : v128.load32_splat(record, RECORD_SECOND_SUM);
}

/** The same for nibbles: see panel-tile.ts. */
@inline
function startNibbles(format: i32, mode: i32, record: usize): v128 {
  if (hasOffsets(format)) return i32x4.splat(0);
  return mode == SUM_PAIRS ? v128.load32_splat(record, RECORD_PAIRS) : v128.load32_splat(record, RECORD_SUM);
}

/** sum + Σ over the steps k … k + 3 (16 columns) of x · q, for rows 0-3 or 4-7. */
@inline
function dotQuants(
  format: i32,
  mode: i32,
  q: usize,
  k: i32,
  upper: bool,
  sum: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  nibbleMask: v128,
  twosMask: v128,
  onesMask: v128,
): v128 {
  const q0 = quants(format, q, k, upper, nibbleMask, twosMask, onesMask);
  const q1 = quants(format, q, k + 1, upper, nibbleMask, twosMask, onesMask);
  const q2 = quants(format, q, k + 2, upper, nibbleMask, twosMask, onesMask);
  const q3 = quants(format, q, k + 3, upper, nibbleMask, twosMask, onesMask);
  if (isWide(format)) return dotWide(mode, sum, x0, x1, x2, x3, q0, q1, q2, q3, nibbleMask);
  return dotNarrow(mode, format == Q6_K ? 2 : 4, sum, x0, x1, x2, x3, q0, q1, q2, q3);
}
