/**
 * Byte-pair merging, the core of both tokenizer families: join the adjacent pair of symbols with the lowest rank,
 * leftmost first among equals, until no pair has a rank.
 *
 * Short words scan for the best pair at every step, which beats any queue there. Longer ones use a heap of
 * (rank, position) over a linked list: O(n log n), so a text of 10 MB without a space takes seconds.
 *
 * Flow: sentence-piece.ts, byte-level.ts (symbols of a word) → mergeSymbols → ids.
 */

/** A symbol that no pair contains: a character or byte without a piece. Table slots use -1 for "empty". */
export const unknownSymbol = -2;

/** Symbols up to which the plain scan is used. */
const scanLimit = 40;
const positionRange = 2 ** 32;

/** A hash table from a pair of numbers to a rank and a merged symbol, in one Int32Array so that a probe is one cache line. */
export class PairTable {
  #slots: Int32Array;
  #mask: number;
  #count = 0;

  constructor(expectedCount = 16) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, expectedCount * 2)));
    this.#slots = new Int32Array(capacity * 4).fill(-1);
    this.#mask = capacity - 1;
  }

  /** Stores a pair; one that is there already keeps its first value. */
  add(left: number, right: number, rank: number, merged: number): void {
    if (this.#count * 2 > this.#mask) this.#grow();
    const at = this.#probe(left, right);
    if (this.#slots[at] !== -1) return;
    const slots = this.#slots;
    slots[at] = left;
    slots[at + 1] = right;
    slots[at + 2] = rank;
    slots[at + 3] = merged;
    this.#count++;
  }

  /** Where `rankAt` and `mergedAt` find the pair, or -1. */
  find(left: number, right: number): number {
    const at = this.#probe(left, right);
    return this.#slots[at] === -1 ? -1 : at;
  }

  rankAt(at: number): number {
    return this.#slots[at + 2]!;
  }

  mergedAt(at: number): number {
    return this.#slots[at + 3]!;
  }

  #probe(left: number, right: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slot << 2;
      const stored = slots[at]!;
      if (stored === -1 || (stored === left && slots[at + 1] === right)) return at;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2).fill(-1);
    this.#mask = this.#slots.length / 4 - 1;
    for (let at = 0; at < old.length; at += 4)
      if (old[at] !== -1) this.#slots.set(old.subarray(at, at + 4), this.#probe(old[at]!, old[at + 1]!));
  }
}

/** Merges the first `count` symbols in place and returns how many are left. */
export function mergeSymbols(symbols: Int32Array, count: number, pairs: PairTable): number {
  return count <= scanLimit ? mergeByScan(symbols, count, pairs) : mergeByHeap(symbols, count, pairs);
}

const foundAt = new Int32Array(scanLimit);

function mergeByScan(symbols: Int32Array, count: number, pairs: PairTable): number {
  for (let i = 0; i + 1 < count; i++) foundAt[i] = pairs.find(symbols[i]!, symbols[i + 1]!);
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < count; i++) {
      const at = foundAt[i]!;
      if (at < 0) continue;
      const rank = pairs.rankAt(at);
      if (rank >= bestRank) continue;
      best = i;
      bestRank = rank;
    }
    if (best < 0) return count;
    symbols[best] = pairs.mergedAt(foundAt[best]!);
    count--;
    for (let i = best + 1; i < count; i++) {
      symbols[i] = symbols[i + 1]!;
      foundAt[i] = foundAt[i + 1]!;
    }
    if (best > 0) foundAt[best - 1] = pairs.find(symbols[best - 1]!, symbols[best]!);
    if (best + 1 < count) foundAt[best] = pairs.find(symbols[best]!, symbols[best + 1]!);
  }
}

function mergeByHeap(symbols: Int32Array, count: number, pairs: PairTable): number {
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  const heap = new MinHeap(count);
  for (let i = 0; i < count; i++) {
    previous[i] = i - 1;
    next[i] = i + 1 < count ? i + 1 : -1;
    const at = i + 1 < count ? pairs.find(symbols[i]!, symbols[i + 1]!) : -1;
    if (at >= 0) heap.append(pairs.rankAt(at) * positionRange + i);
  }
  heap.order();
  while (heap.size > 0) {
    const key = heap.takeLowest();
    const rank = Math.floor(key / positionRange);
    const left = key - rank * positionRange;
    const right = next[left]!;
    // An entry is stale when its pair is gone; one whose place holds another pair of the same rank is as good as new.
    if (right < 0 || symbols[left] === removed) continue;
    const at = pairs.find(symbols[left]!, symbols[right]!);
    if (at < 0 || pairs.rankAt(at) !== rank) continue;
    symbols[left] = pairs.mergedAt(at);
    symbols[right] = removed;
    const after = next[right]!;
    next[left] = after;
    const before = previous[left]!;
    if (before >= 0) {
      const found = pairs.find(symbols[before]!, symbols[left]!);
      if (found >= 0) heap.add(pairs.rankAt(found) * positionRange + before);
    }
    if (after < 0) continue;
    previous[after] = left;
    const found = pairs.find(symbols[left]!, symbols[after]!);
    if (found >= 0) heap.add(pairs.rankAt(found) * positionRange + left);
  }
  let kept = 0;
  for (let i = 0; i >= 0; i = next[i]!) symbols[kept++] = symbols[i]!;
  return kept;
}

/** Marks the right half of a merged pair. */
const removed = -3;

/** Smallest number first. Each node has four children, which lie side by side: half the depth, half the cache misses. */
class MinHeap {
  size = 0;
  #keys: Float64Array;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
  }

  /** Adds without ordering; `order` must follow. */
  append(key: number): void {
    this.#keys[this.size++] = key;
  }

  order(): void {
    // An ascending array is a heap.
    this.#keys.subarray(0, this.size).sort();
  }

  add(key: number): void {
    if (this.size === this.#keys.length) {
      const grown = new Float64Array(this.size * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 2;
      if (keys[parent]! <= key) break;
      keys[i] = keys[parent]!;
      i = parent;
    }
    keys[i] = key;
  }

  takeLowest(): number {
    const keys = this.#keys;
    const lowest = keys[0]!;
    const size = --this.size;
    const key = keys[size]!;
    let i = 0;
    for (;;) {
      const first = 4 * i + 1;
      if (first >= size) break;
      let child = first;
      let least = keys[first]!;
      for (let other = first + 1; other < Math.min(first + 4, size); other++)
        if (keys[other]! < least) {
          child = other;
          least = keys[other]!;
        }
      if (least >= key) break;
      keys[i] = least;
      i = child;
    }
    keys[i] = key;
    return lowest;
  }
}
