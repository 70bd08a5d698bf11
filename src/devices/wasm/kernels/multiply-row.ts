/**
 * The product of packed weights and one token, for some groups of 8 rows side by side: a block of 32 columns of each in
 * turn, from memory straight into integer products. Words: as in multiply-packed.ts.
 *
 * Sums are kept in slots between blocks (row-pair.ts), in the thread's scratch space.
 */
import { address, integer } from "./call";
import { IQ4_NL, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, RECORD_BYTES, SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES } from "./codes";
import { blockBytes, blocksPerHead, groupBytes, headBytes, isK, masks, onesMaskOf, twosMaskOf } from "./formats";
import { putGroup } from "./put";
import { addPair, clearSlots, SLOT, unpackHeads } from "./row-pair";

/** One copy of the loop for each format and way of summing. */
export function multiplyRow(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  const quads = integer(call, 13) != SUM_PAIRS;
  switch (integer(call, 4)) {
    case Q4_0:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_0Bytes(call, token, first, last, slots);
      return quads ? rowQ4_0(call, token, first, last, slots) : rowQ4_0Pairs(call, token, first, last, slots);
    case Q4_1:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_1Bytes(call, token, first, last, slots);
      return quads ? rowQ4_1(call, token, first, last, slots) : rowQ4_1Pairs(call, token, first, last, slots);
    case Q5_0:
      return quads ? rowQ5_0(call, token, first, last, slots) : rowQ5_0Pairs(call, token, first, last, slots);
    case Q5_1:
      return quads ? rowQ5_1(call, token, first, last, slots) : rowQ5_1Pairs(call, token, first, last, slots);
    case Q2_K:
      return quads ? rowQ2_K(call, token, first, last, slots) : rowQ2_KPairs(call, token, first, last, slots);
    case Q3_K:
      return quads ? rowQ3_K(call, token, first, last, slots) : rowQ3_KPairs(call, token, first, last, slots);
    case Q4_K:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ4_KBytes(call, token, first, last, slots);
      return quads ? rowQ4_K(call, token, first, last, slots) : rowQ4_KPairs(call, token, first, last, slots);
    case Q5_K:
      return quads ? rowQ5_K(call, token, first, last, slots) : rowQ5_KPairs(call, token, first, last, slots);
    case Q6_K:
      return quads ? rowQ6_K(call, token, first, last, slots) : rowQ6_KPairs(call, token, first, last, slots);
    case Q8_0:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowQ8_0Bytes(call, token, first, last, slots);
      return quads ? rowQ8_0(call, token, first, last, slots) : rowQ8_0Pairs(call, token, first, last, slots);
    case IQ4_NL:
      if (integer(call, 13) == SUM_QUADS_OF_BYTES) return rowIQ4_NLBytes(call, token, first, last, slots);
      return quads ? rowIQ4_NL(call, token, first, last, slots) : rowIQ4_NLPairs(call, token, first, last, slots);
  }
}

function rowQ4_0(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_0, SUM_QUADS, call, token, first, last, slots);
}
function rowQ4_0Bytes(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_0, SUM_QUADS_OF_BYTES, call, token, first, last, slots);
}
function rowQ4_0Pairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_0, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ4_1(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_1, SUM_QUADS, call, token, first, last, slots);
}
function rowQ4_1Bytes(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_1, SUM_QUADS_OF_BYTES, call, token, first, last, slots);
}
function rowQ4_1Pairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_1, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ5_0(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_0, SUM_QUADS, call, token, first, last, slots);
}
function rowQ5_0Pairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_0, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ5_1(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_1, SUM_QUADS, call, token, first, last, slots);
}
function rowQ5_1Pairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_1, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ2_K(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q2_K, SUM_QUADS, call, token, first, last, slots);
}
function rowQ2_KPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q2_K, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ3_K(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q3_K, SUM_QUADS, call, token, first, last, slots);
}
function rowQ3_KPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q3_K, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ4_K(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_K, SUM_QUADS, call, token, first, last, slots);
}
function rowQ4_KBytes(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_K, SUM_QUADS_OF_BYTES, call, token, first, last, slots);
}
function rowQ4_KPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q4_K, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ5_K(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_K, SUM_QUADS, call, token, first, last, slots);
}
function rowQ5_KPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q5_K, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ6_K(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q6_K, SUM_QUADS, call, token, first, last, slots);
}
function rowQ6_KPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q6_K, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ8_0(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q8_0, SUM_QUADS, call, token, first, last, slots);
}
function rowQ8_0Pairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q8_0, SUM_PAIRS, call, token, first, last, slots);
}
function rowQ8_0Bytes(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(Q8_0, SUM_QUADS_OF_BYTES, call, token, first, last, slots);
}
function rowIQ4_NL(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(IQ4_NL, SUM_QUADS, call, token, first, last, slots);
}
function rowIQ4_NLPairs(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(IQ4_NL, SUM_PAIRS, call, token, first, last, slots);
}
function rowIQ4_NLBytes(call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  multiplyRowOf(IQ4_NL, SUM_QUADS_OF_BYTES, call, token, first, last, slots);
}

/** Groups [first, last) for one token. `format` and `mode` are constants wherever this is inlined. */
@inline
function multiplyRowOf(format: i32, mode: i32, call: usize, token: i32, first: i32, last: i32, slots: usize): void {
  const columns = integer(call, 6);
  const ones = v128.load32_splat(call + 4 * 14);
  const pairOnes = i16x8.shr_u(ones, 8);
  const nibbleMask = masks(ones, 15);
  const twosMask = masks(ones, twosMaskOf(format));
  const onesMask = masks(ones, onesMaskOf(format));
  const halfMask = v128.load32_splat(call + 4 * 17);
  const halfPower = v128.load32_splat(call + 4 * 18);
  const bytes = groupBytes(format, columns);
  const groups = last - first;
  clearSlots(slots, groups);
  const records = address(call, 1) + <usize>token * address(call, 2);
  const recordsEnd = records + <usize>(columns >> 5) * RECORD_BYTES;
  let w = address(call, 3) + <usize>first * bytes;
  let block = 0;
  for (let record = records; record < recordsEnd; record += RECORD_BYTES) {
    if (isK(format)) {
      if (block % blocksPerHead(format) == 0) {
        unpackHeads(format, w, bytes, groups, slots, halfMask, halfPower);
        w += headBytes(format);
      }
      block++;
    }
    let slot = slots;
    let at = w;
    for (let left = groups; left > 0; left -= 2) {
      // Of an odd number the last is multiplied twice, the second time into a slot of no use.
      const next = left > 1 ? at + bytes : at;
      addPair(format, mode, at, next, record, slot, pairOnes, nibbleMask, twosMask, onesMask, halfMask, halfPower);
      slot += 2 * SLOT;
      at += 2 * bytes;
    }
    w += blockBytes(format);
  }
  for (let group = first; group < last; group++) {
    putGroup(call, token, group, v128.load(slots), v128.load(slots, 16));
    slots += SLOT;
  }
}
