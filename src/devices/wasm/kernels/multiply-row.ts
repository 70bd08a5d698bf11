/**
 * The product of packed weights and one token, for a few groups of 8 rows: weights go from memory straight into integer
 * products, read once as one stream. Words: as in multiply-packed.ts.
 *
 * Both memory and the number of instructions bound it, so the steps of nibbles are written out, as in panel-tile.ts.
 */
import { address, integer } from "./call";
import { IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES } from "./codes";
import { dotNarrow, dotWide, highNibbles, pairs, quads } from "./dots";
import {
  blockBytes,
  byteScales,
  groupBytes,
  hasByteScales,
  hasOffsets,
  hasShortGroups,
  headBytes,
  isK,
  isWide,
  masks,
  onesMaskOf,
  quants,
  quantsAt,
  scaleBytes,
  scales,
  twosMaskOf,
} from "./formats";
import { finiteHalves, multiplyAdd } from "./numbers";
import { putGroup } from "./put";
import { RECORD_BYTES, RECORD_PAIRS, RECORD_SCALE, RECORD_SECOND_SUM, RECORD_SUM } from "./quantize-activations";
import { readAhead } from "./read-ahead";

/** One copy of the loop for each format and way of summing. */
export function multiplyRow(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  const quads = integer(call, 13) != SUM_PAIRS;
  switch (integer(call, 4)) {
    case Q4_0:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_0Bytes(call, token, first, last, ahead);
      return quads ? rowQ4_0(call, token, first, last, ahead) : rowQ4_0Pairs(call, token, first, last, ahead);
    case Q4_1:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_1Bytes(call, token, first, last, ahead);
      return quads ? rowQ4_1(call, token, first, last, ahead) : rowQ4_1Pairs(call, token, first, last, ahead);
    case Q5_0:
      return quads ? rowQ5_0(call, token, first, last, ahead) : rowQ5_0Pairs(call, token, first, last, ahead);
    case Q5_1:
      return quads ? rowQ5_1(call, token, first, last, ahead) : rowQ5_1Pairs(call, token, first, last, ahead);
    case Q2_K:
      return quads ? rowQ2_K(call, token, first, last, ahead) : rowQ2_KPairs(call, token, first, last, ahead);
    case Q3_K:
      return quads ? rowQ3_K(call, token, first, last, ahead) : rowQ3_KPairs(call, token, first, last, ahead);
    case Q4_K:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_KBytes(call, token, first, last, ahead);
      return quads ? rowQ4_K(call, token, first, last, ahead) : rowQ4_KPairs(call, token, first, last, ahead);
    case Q5_K:
      return quads ? rowQ5_K(call, token, first, last, ahead) : rowQ5_KPairs(call, token, first, last, ahead);
    case Q6_K:
      return quads ? rowQ6_K(call, token, first, last, ahead) : rowQ6_KPairs(call, token, first, last, ahead);
    case Q8_0:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ8_0Bytes(call, token, first, last, ahead);
      return quads ? rowQ8_0(call, token, first, last, ahead) : rowQ8_0Pairs(call, token, first, last, ahead);
    case IQ4_NL:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowIQ4_NLBytes(call, token, first, last, ahead);
      return quads ? rowIQ4_NL(call, token, first, last, ahead) : rowIQ4_NLPairs(call, token, first, last, ahead);
  }
}

function rowQ4_0(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_0, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ4_0Bytes(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_0, SUM_QUADS_OF_BYTES, call, token, first, last, ahead);
}
function rowQ4_0Pairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_0, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ4_1(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_1, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ4_1Bytes(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_1, SUM_QUADS_OF_BYTES, call, token, first, last, ahead);
}
function rowQ4_1Pairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_1, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ5_0(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_0, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ5_0Pairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_0, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ5_1(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_1, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ5_1Pairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_1, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ2_K(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q2_K, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ2_KPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q2_K, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ3_K(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q3_K, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ3_KPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q3_K, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ4_K(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_K, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ4_KBytes(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_K, SUM_QUADS_OF_BYTES, call, token, first, last, ahead);
}
function rowQ4_KPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q4_K, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ5_K(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_K, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ5_KPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q5_K, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ6_K(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q6_K, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ6_KPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q6_K, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ8_0(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q8_0, SUM_QUADS, call, token, first, last, ahead);
}
function rowQ8_0Pairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q8_0, SUM_PAIRS, call, token, first, last, ahead);
}
function rowQ8_0Bytes(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(Q8_0, SUM_QUADS_OF_BYTES, call, token, first, last, ahead);
}
function rowIQ4_NL(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(IQ4_NL, SUM_QUADS, call, token, first, last, ahead);
}
function rowIQ4_NLPairs(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(IQ4_NL, SUM_PAIRS, call, token, first, last, ahead);
}
function rowIQ4_NLBytes(call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  multiplyRowOf(IQ4_NL, SUM_QUADS_OF_BYTES, call, token, first, last, ahead);
}

/** Groups [first, last) for one token. `format` and `mode` are constants wherever this is inlined. */
@inline
function multiplyRowOf(format: i32, mode: i32, call: usize, token: i32, first: i32, last: i32, ahead: usize): void {
  const columns = integer(call, 6);
  const heads = isK(format) ? columns >> 8 : (columns + 127) >> 7;
  const ones = v128.load32_splat(call + 4 * 14);
  const pairOnes = i16x8.shr_u(ones, 8);
  const nibbleMask = masks(ones, 15);
  const twosMask = masks(ones, twosMaskOf(format));
  const onesMask = masks(ones, onesMaskOf(format));
  const halfMask = v128.load32_splat(call + 4 * 17);
  const halfPower = v128.load32_splat(call + 4 * 18);
  const records = address(call, 1) + <usize>token * address(call, 2);
  let w = address(call, 3) + <usize>first * groupBytes(format, columns);
  for (let group = first; group < last; group++) {
    let lower = f32x4.splat(0);
    let upper = f32x4.splat(0);
    let record = records;
    for (let head = 0; head < heads; head++) {
      if (ahead) readAhead(ahead, w);
      const blocks = isK(format) ? 8 : min(4, (columns >> 5) - (head << 2));
      let lowerHead = f32x4.splat(0);
      let upperHead = f32x4.splat(0);
      let lowerOffsetHead = f32x4.splat(0);
      let upperOffsetHead = f32x4.splat(0);
      if (isK(format)) {
        lowerHead = finiteHalves(w, halfMask, halfPower);
        upperHead = finiteHalves(w + 8, halfMask, halfPower);
        if (hasOffsets(format)) {
          lowerOffsetHead = f32x4.neg(finiteHalves(w + 16, halfMask, halfPower));
          upperOffsetHead = f32x4.neg(finiteHalves(w + 24, halfMask, halfPower));
        }
        w += headBytes(format);
      }
      for (let block = 0; block < blocks; block++) {
        const q = w + quantsAt(format);
        let a = i32x4.splat(0);
        let b = a;
        if (isNibbles(format)) {
          let low = startNibbles(format, mode, record);
          let high = startHigh(format, mode, low);
          let x = v128.load32_splat(record);
          let n = v128.load(q);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 4);
          n = v128.load(q, 16);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 8);
          n = v128.load(q, 32);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 12);
          n = v128.load(q, 48);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 16);
          n = v128.load(q, 64);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 20);
          n = v128.load(q, 80);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 24);
          n = v128.load(q, 96);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          x = v128.load32_splat(record, 28);
          n = v128.load(q, 112);
          low = step(mode, low, x, v128.and(n, nibbleMask));
          high = stepHigh(mode, high, x, n, nibbleMask);
          a = mode == SUM_PAIRS ? i32x4.dot_i16x8_s(low, pairOnes) : low;
          b = mode == SUM_PAIRS ? i32x4.dot_i16x8_s(high, pairOnes) : endHigh(mode, high, low);
        } else {
          // Σ of the first 16 columns, for short groups; else of all 32.
          a = startSum(format, record, 0);
          b = a;
          let x0 = v128.load32_splat(record);
          let x1 = v128.load32_splat(record, 4);
          let x2 = v128.load32_splat(record, 8);
          let x3 = v128.load32_splat(record, 12);
          a = dotQuants(format, mode, q, 0, false, a, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
          b = dotQuants(format, mode, q, 0, true, b, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
          if (hasShortGroups(format)) {
            const scale = v128.load32_splat(record, RECORD_SCALE);
            const aScale = f32x4.mul(scales(format, w, 0, false, lowerHead, halfMask, halfPower), scale);
            const bScale = f32x4.mul(scales(format, w, 0, true, upperHead, halfMask, halfPower), scale);
            lower = multiplyAdd(f32x4.convert_i32x4_s(a), aScale, lower);
            upper = multiplyAdd(f32x4.convert_i32x4_s(b), bScale, upper);
            a = startSum(format, record, 1);
            b = a;
          }
          x0 = v128.load32_splat(record, 16);
          x1 = v128.load32_splat(record, 20);
          x2 = v128.load32_splat(record, 24);
          x3 = v128.load32_splat(record, 28);
          a = dotQuants(format, mode, q, 4, false, a, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
          b = dotQuants(format, mode, q, 4, true, b, x0, x1, x2, x3, nibbleMask, twosMask, onesMask);
        }
        const scale = v128.load32_splat(record, RECORD_SCALE);
        const lastGroup = hasShortGroups(format) ? 1 : 0;
        let aScale = f32x4.splat(0);
        let bScale = f32x4.splat(0);
        if (hasByteScales(format)) {
          const bytes = v128.load8x8_s(w);
          aScale = f32x4.mul(byteScales(bytes, false, lowerHead), scale);
          bScale = f32x4.mul(byteScales(bytes, true, upperHead), scale);
        } else {
          aScale = f32x4.mul(scales(format, w, lastGroup, false, lowerHead, halfMask, halfPower), scale);
          bScale = f32x4.mul(scales(format, w, lastGroup, true, upperHead, halfMask, halfPower), scale);
        }
        lower = multiplyAdd(f32x4.convert_i32x4_s(a), aScale, lower);
        upper = multiplyAdd(f32x4.convert_i32x4_s(b), bScale, upper);
        if (hasOffsets(format)) {
          const offsets = w + scaleBytes(format);
          let sum = v128.load32_splat(record, RECORD_SUM);
          if (hasByteScales(format)) {
            const bytes = v128.load8x8_s(offsets);
            lower = multiplyAdd(byteScales(bytes, false, lowerOffsetHead), sum, lower);
            upper = multiplyAdd(byteScales(bytes, true, upperOffsetHead), sum, upper);
          } else {
            lower = multiplyAdd(scales(format, offsets, 0, false, lowerOffsetHead, halfMask, halfPower), sum, lower);
            upper = multiplyAdd(scales(format, offsets, 0, true, upperOffsetHead, halfMask, halfPower), sum, upper);
          }
          if (lastGroup == 1) {
            sum = v128.load32_splat(record, RECORD_SECOND_SUM);
            lower = multiplyAdd(scales(format, offsets, 1, false, lowerOffsetHead, halfMask, halfPower), sum, lower);
            upper = multiplyAdd(scales(format, offsets, 1, true, upperOffsetHead, halfMask, halfPower), sum, upper);
          }
        }
        w += blockBytes(format);
        record += RECORD_BYTES;
      }
    }
    putGroup(call, token, group, lower, upper);
  }
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
