/**
 * Learns the merges of byte-pair encoding: again and again the pair of neighbours that occurs most often becomes one
 * symbol.
 *
 *   count of a pair = Σ over different words of (how often the word occurs · how often the pair occurs in it)
 *
 * Counts are kept up to date: a merge looks only at the words that hold its pair. Candidates lie in a heap ordered by
 * count, then by length, then by symbol numbers, so the result does not depend on the order of texts of equal counts.
 * An entry whose count has fallen is put back where it belongs when it comes up.
 *
 * Flow: train-words.ts (words) → learnMerges → train.ts (pieces).
 * Source: Sennrich et al. 2016, arXiv 1508.07909.
 */

export interface MergeOptions {
  /** Symbols that are there from the start: single characters. */
  readonly characters: readonly number[];
  /** Pieces to learn. */
  readonly count: number;
  /** In code points. */
  readonly maxPieceLength: number;
  /** Names that no piece may have. */
  readonly reserved: ReadonlySet<string>;
  /** Awaited now and then, so that a caller's thread can do something else, or stop this by throwing. */
  readonly onProgress: (learned: number) => Promise<void>;
}

/** Symbols a table of pairs can number: key = left · limit + right stays below 2⁵³. */
const symbolLimit = 2 ** 21;
const progressInterval = 128;

/**
 * Returns the learned pieces, the most wanted first; fewer than asked for when nothing is left to merge.
 *
 * @param words code points of each word, all among `characters`, and how often each occurs.
 */
export async function learnMerges(
  words: Iterable<readonly [codes: readonly number[], count: number]>,
  options: MergeOptions,
): Promise<string[]> {
  const state = new MergeState(options);
  for (const [codes, count] of words) state.addWord(codes, count);
  state.countPairs();
  const learned: string[] = [];
  while (learned.length < options.count) {
    const piece = state.mergeBest();
    if (piece === undefined) break;
    if (piece === "") continue;
    learned.push(piece);
    if (learned.length % progressInterval === 0) await options.onProgress(learned.length);
  }
  await options.onProgress(learned.length);
  return learned;
}

class MergeState {
  readonly #options: MergeOptions;
  readonly #texts: string[];
  /** In code points. */
  readonly #lengths: number[];
  readonly #symbolOf = new Map<string, number>();
  readonly #words: Int32Array[] = [];
  /** Symbols of each word that are in use: words shrink in place. */
  readonly #sizes: number[] = [];
  readonly #counts: number[] = [];
  readonly #pairs = new Map<number, Pair>();
  readonly #heap: Entry[] = [];

  constructor(options: MergeOptions) {
    this.#options = options;
    this.#texts = options.characters.map((code) => String.fromCodePoint(code));
    this.#lengths = options.characters.map(() => 1);
    for (const [symbol, text] of this.#texts.entries()) this.#symbolOf.set(text, symbol);
  }

  addWord(codes: readonly number[], count: number): void {
    this.#words.push(Int32Array.from(codes, (code) => this.#symbolOf.get(String.fromCodePoint(code))!));
    this.#sizes.push(codes.length);
    this.#counts.push(count);
  }

  countPairs(): void {
    for (const [index, word] of this.#words.entries())
      for (let i = 1; i < word.length; i++) this.#change(word[i - 1]!, word[i]!, this.#counts[index]!, index);
    for (const pair of this.#pairs.values()) this.#push(pair);
  }

  /** Merges the pair of the largest count; gives the new piece, "" when it was there already, undefined at the end. */
  mergeBest(): string | undefined {
    for (;;) {
      const top = this.#pop();
      if (!top) return undefined;
      const { pair, count } = top;
      if (pair.count <= 0) continue;
      if (pair.count !== count) {
        if (pair.count < count) this.#push(pair);
        continue;
      }
      const text = this.#texts[pair.left]! + this.#texts[pair.right]!;
      if (this.#options.reserved.has(text)) continue;
      const known = this.#symbolOf.get(text);
      const symbol = known ?? this.#newSymbol(text, pair);
      if (symbol >= symbolLimit) return undefined;
      this.#merge(pair, symbol);
      // An encoder merges whatever two symbols make the piece, so all ways to make it are taken now.
      if (known === undefined) this.#mergeOthers(text, symbol);
      return known === undefined ? text : "";
    }
  }

  #newSymbol(text: string, pair: Pair): number {
    const symbol = this.#texts.length;
    this.#texts.push(text);
    this.#lengths.push(this.#lengths[pair.left]! + this.#lengths[pair.right]!);
    this.#symbolOf.set(text, symbol);
    return symbol;
  }

  #mergeOthers(text: string, symbol: number): void {
    for (let cut = 1; cut < text.length; cut++) {
      const left = this.#symbolOf.get(text.slice(0, cut));
      const right = left === undefined ? undefined : this.#symbolOf.get(text.slice(cut));
      const pair =
        left === undefined || right === undefined ? undefined : this.#pairs.get(left * symbolLimit + right);
      if (pair && pair.count > 0) this.#merge(pair, symbol);
    }
  }

  #merge(pair: Pair, symbol: number): void {
    const { left, right } = pair;
    const touched = new Set<Pair>();
    const words = pair.words;
    pair.words = [];
    for (const index of words) {
      const word = this.#words[index]!;
      const count = this.#counts[index]!;
      const size = this.#sizes[index]!;
      let to = 0;
      for (let from = 0; from < size; from++) {
        if (word[from] === left && from + 1 < size && word[from + 1] === right) {
          if (to > 0) {
            this.#change(word[to - 1]!, left, -count, index);
            const made = this.#change(word[to - 1]!, symbol, count, index);
            if (made) touched.add(made);
          }
          if (from + 2 < size) {
            this.#change(right, word[from + 2]!, -count, index);
            const made = this.#change(symbol, word[from + 2]!, count, index);
            if (made) touched.add(made);
          }
          word[to++] = symbol;
          from++;
          pair.count -= count;
        } else word[to++] = word[from]!;
      }
      this.#sizes[index] = to;
    }
    this.#pairs.delete(left * symbolLimit + right);
    pair.count = 0;
    for (const made of touched) if (made.count > 0) this.#push(made);
  }

  /** Counts a pair of neighbours in a word; gives the pair where it may become a piece. */
  #change(left: number, right: number, by: number, word: number): Pair | undefined {
    if (this.#lengths[left]! + this.#lengths[right]! > this.#options.maxPieceLength) return undefined;
    const key = left * symbolLimit + right;
    let pair = this.#pairs.get(key);
    if (!pair) {
      // A pair that is being merged is no longer looked for.
      if (by < 0) return undefined;
      pair = { left, right, count: 0, words: [] };
      this.#pairs.set(key, pair);
    }
    pair.count += by;
    if (by > 0 && pair.words.at(-1) !== word) pair.words.push(word);
    return pair;
  }

  #push(pair: Pair): void {
    const heap = this.#heap;
    const entry = { pair, count: pair.count };
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #isBefore(a: Entry, b: Entry): boolean {
    if (a.count !== b.count) return a.count > b.count;
    const lengthA = this.#lengths[a.pair.left]! + this.#lengths[a.pair.right]!;
    const lengthB = this.#lengths[b.pair.left]! + this.#lengths[b.pair.right]!;
    if (lengthA !== lengthB) return lengthA < lengthB;
    return a.pair.left !== b.pair.left ? a.pair.left < b.pair.left : a.pair.right < b.pair.right;
  }
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Words that hold or held it. */
  words: number[];
}

interface Entry {
  readonly pair: Pair;
  /** The pair's count when it was put into the heap. */
  readonly count: number;
}
