/**
 * Counts the words that a tokenizer is trained on, and cuts them where no piece may reach across.
 *
 *   chunk   a run of text up to the next space or control character; a space belongs to the chunk that follows
 *   word    a part of a chunk of one script, at most one digit where digits are split; pieces lie within words
 *
 * Only different chunks are cut into words, so the bulk of a text costs one search and one look-up a chunk.
 *
 * Flow: texts → ChunkCounter → wordsOf → train-merges.ts.
 * Source: Kudo & Richardson 2018, arXiv 1808.06226 (spaces as U+2581); the script rule follows Unicode's Script property.
 */

/** U+2581, how a space is written in pieces. */
export const spaceMark = "\u2581";

/** Longer chunks, such as pages without a space, are cut: their ends say nothing about a language. */
const chunkLengthLimit = 256;
/** Different chunks to keep; beyond it those seen once are forgotten. About 1 GB at the most. */
const chunkCountLimit = 4_000_000;

/** Counts chunks of texts, in memory that does not grow with the length of the texts. */
export class ChunkCounter {
  /** Chunk, with a leading space as ▁ → how often. */
  readonly counts: Map<string, number> = new Map();
  readonly #addSpacePrefix: boolean;
  readonly #limit: number;

  constructor(addSpacePrefix: boolean, limit: number = chunkCountLimit) {
    this.#addSpacePrefix = addSpacePrefix;
    this.#limit = limit;
  }

  add(text: string): void {
    const plain = text.includes(spaceMark) ? text.replaceAll(spaceMark, " ") : text;
    const marked = this.#addSpacePrefix && plain !== "" ? ` ${plain}` : plain;
    let start = 0;
    for (let i = 1; i <= marked.length; i++) {
      const ends =
        i === marked.length || isBreak(marked.charCodeAt(i)) || isControl(marked.charCodeAt(i - 1));
      if (!ends && (i - start < chunkLengthLimit || isLowSurrogate(marked.charCodeAt(i)))) continue;
      const chunk = marked.slice(start, i);
      this.counts.set(chunk, (this.counts.get(chunk) ?? 0) + 1);
      start = i;
    }
    if (this.counts.size > this.#limit) this.#forget();
  }

  /** Drops the rarest until half of the room is free. */
  #forget(): void {
    for (let rare = 1; this.counts.size > this.#limit / 2; rare++)
      for (const [chunk, count] of this.counts) if (count <= rare) this.counts.delete(chunk);
  }
}

/** Where a chunk ends before this character: spaces and control characters. */
function isBreak(code: number): boolean {
  return code === 0x20 || isControl(code);
}

/** Line ends, tabs and their like: they stand alone and are no part of a piece. */
export function isControl(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** How often each code point occurs in the chunks, spaces left out. */
export function countCharacters(chunks: ReadonlyMap<string, number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const [chunk, count] of chunks)
    for (let i = chunk.charCodeAt(0) === 0x20 ? 1 : 0; i < chunk.length; i++) {
      const code = chunk.codePointAt(i)!;
      if (code > 0xffff) i++;
      counts.set(code, (counts.get(code) ?? 0) + count);
    }
  return counts;
}

/**
 * The parts of a chunk in which pieces may lie, as lists of code points with the space as ▁. Characters that are no
 * pieces part them as well. Parts of one character are left out, since nothing in them can merge.
 */
export function wordsOf(chunk: string, isPiece: (code: number) => boolean, splitDigits: boolean): number[][] {
  const words: number[][] = [];
  let word: number[] = [];
  let before = 0;
  const end = (): void => {
    if (word.length > 1) words.push(word);
    word = [];
    before = 0;
  };
  for (const character of chunk) {
    const code = character === " " ? 0x2581 : character.codePointAt(0)!;
    if (code === 0x2581) {
      end();
      word.push(code);
      continue;
    }
    const script = isPiece(code) ? scriptOf(code) : 0;
    if (script === 0 || (splitDigits && script === DIGIT)) {
      end();
      continue;
    }
    if (before !== 0 && script !== INHERITED && script !== before) end();
    word.push(code);
    if (script !== INHERITED) before = script;
  }
  end();
  return words;
}

const COMMON = 1;
const DIGIT = 2;
const INHERITED = 3;
const LATIN = 4;

/** Scripts of many texts; what is in none of them counts as one more. Those of Japanese mix within words. */
const scripts: readonly RegExp[] = [
  /\p{Script=Latin}/u,
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u30fc]/u,
  ...["Cyrillic", "Greek", "Arabic", "Hebrew", "Hangul", "Devanagari", "Bengali", "Tamil", "Telugu", "Thai"],
  ...["Gujarati", "Gurmukhi", "Kannada", "Malayalam", "Georgian", "Armenian", "Ethiopic", "Khmer", "Lao"],
  ...["Myanmar", "Sinhala", "Tibetan", "Mongolian"],
].map((script) => (typeof script === "string" ? new RegExp(`\\p{Script=${script}}`, "u") : script));

const knownScripts = new Map<number, number>();

/** A number per script; punctuation and symbols have one of their own, and so have digits. */
function scriptOf(code: number): number {
  if (code < 0x80) {
    if ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a) return LATIN;
    return code >= 0x30 && code <= 0x39 ? DIGIT : COMMON;
  }
  const known = knownScripts.get(code);
  if (known !== undefined) return known;
  const character = String.fromCodePoint(code);
  const found = scripts.findIndex((script) => script.test(character));
  const script =
    found >= 0
      ? LATIN + found
      : /\p{Nd}/u.test(character)
        ? DIGIT
        : /\p{Script=Inherited}/u.test(character)
          ? INHERITED
          : /\p{Script=Common}/u.test(character)
            ? COMMON
            : LATIN + scripts.length;
  knownScripts.set(code, script);
  return script;
}
