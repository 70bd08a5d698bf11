/**
 * Remembers the ids of short words, because a text repeats its words: of a million English words a few ten thousand
 * are different ones.
 */

/** Longer words are rare, and their keys would cost memory. */
const wordLengthLimit = 32;
const entryCountLimit = 1 << 17;

export class WordCache {
  #words = new Map<string, readonly number[]>();

  get(word: string): readonly number[] | undefined {
    return word.length > wordLengthLimit ? undefined : this.#words.get(word);
  }

  set(word: string, ids: readonly number[]): void {
    if (word.length > wordLengthLimit) return;
    if (this.#words.size >= entryCountLimit) this.#words = new Map();
    // A part of 13 units or more may share memory with the whole text; joining makes a copy that does not.
    this.#words.set(word.length > 12 ? word.split("").join("") : word, ids);
  }
}
