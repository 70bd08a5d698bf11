/**
 * Byte-level BPE, the tokenizer of GPT-2, Llama 3 and SmolLM2.
 *
 *   encode   a rule cuts the text into words; the UTF-8 bytes of a word are its symbols; the adjacent pair that comes
 *            first in the list of merges is joined, leftmost first
 *   decode   the bytes of all tokens, one after the other, are UTF-8
 *
 * Pieces are stored as text, so each byte is written as a visible character: printable Latin-1 as itself, the other 68
 * as U+0100 and up (a space is Ġ, a newline Ċ).
 *
 * Flow: text → create-tokenizer.ts → encodeInto → pretokenize.ts → WordCache or mergeSymbols → ids.
 * Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
 */
import { CriaError } from "../shared/errors.ts";
import type { Codec } from "./codec.ts";
import { mergeSymbols, PairTable, unknownSymbol } from "./merger.ts";
import { wordSplitter } from "./pretokenize.ts";
import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";
import { Utf8Stream } from "./utf8-stream.ts";
import { kindCodes, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";

/** The character that stands for each byte. */
const characterOfByte: readonly string[] = byteCharacters();
const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte]),
);

export function byteLevelCodec(vocabulary: Vocabulary): Codec {
  const { pieces, kinds } = vocabulary;
  const idOf = new Map<string, number>();
  const added = new Set<string>();
  let longestPiece = 0;
  for (const [id, piece] of pieces.entries()) {
    if (kinds[id] !== kindCodes.normal) added.add(piece);
    else if (!idOf.has(piece)) {
      idOf.set(piece, id);
      longestPiece = Math.max(longestPiece, piece.length);
    }
  }
  const pairs = mergePairs(vocabulary.merges, idOf, added);
  const symbolOfByte = Int32Array.from(characterOfByte, (character) => idOf.get(character) ?? unknownSymbol);
  const split = wordSplitter(vocabulary);
  const cache = new WordCache();
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(1024);
  let symbols = new Int32Array(1024);

  function encodeWord(word: string): number[] {
    if (bytes.length < word.length * 3) {
      bytes = new Uint8Array(word.length * 3);
      symbols = new Int32Array(word.length * 3);
    }
    const byteLength = encoder.encodeInto(word, bytes).written;
    if (vocabulary.ignoreMerges && byteLength <= longestPiece) {
      const whole = idOf.get(
        Array.from(bytes.subarray(0, byteLength), (byte) => characterOfByte[byte]!).join(""),
      );
      if (whole !== undefined) return [whole];
    }
    for (let i = 0; i < byteLength; i++) symbols[i] = symbolOfByte[bytes[i]!]!;
    const count = byteLength > 1 ? mergeSymbols(symbols, byteLength, pairs) : byteLength;
    const ids: number[] = [];
    for (let i = 0; i < count; i++) {
      const symbol = symbols[i]!;
      // A byte that has no token is left out, as llama.cpp does; the unknown token of such files is a control token.
      if (symbol >= 0) ids.push(symbol);
    }
    if (bytes.length > 1 << 16) {
      bytes = new Uint8Array(1024);
      symbols = new Int32Array(1024);
    }
    return ids;
  }

  function encodeInto(ids: number[], text: string): void {
    split(text, (start, end) => {
      const word = text.slice(start, end);
      let known = cache.get(word);
      if (!known) {
        known = encodeWord(word);
        cache.set(word, known);
      }
      for (let i = 0; i < known.length; i++) ids.push(known[i]!);
    });
  }

  const bytesOf = (id: number): Uint8Array => pieceBytes(pieces[id]!, kinds[id]!, encoder);
  const contents: (Uint8Array | undefined)[] = new Array(pieces.length).fill(undefined);
  const contentOf = (id: number): Uint8Array => {
    contents[id] ??= bytesOf(id);
    return contents[id];
  };
  return { encodeInto, bytesOf, decoder: (options) => new ByteLevelDecoder(vocabulary, contentOf, options) };
}

class ByteLevelDecoder implements StreamDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #contentOf: (id: number) => Uint8Array;
  readonly #showSpecial: boolean;
  readonly #bytes = new Utf8Stream();

  constructor(vocabulary: Vocabulary, contentOf: (id: number) => Uint8Array, options: DecodeOptions) {
    this.#vocabulary = vocabulary;
    this.#contentOf = contentOf;
    this.#showSpecial = options.showSpecial ?? false;
  }

  push(id: number): string {
    const kind = this.#vocabulary.kinds[id];
    if (kind !== kindCodes.control && kind !== kindCodes.unknown)
      return this.#bytes.pushAll(this.#contentOf(id));
    return this.#showSpecial ? this.#bytes.flush() + this.#vocabulary.pieces[id]! : "";
  }

  flush(): string {
    return this.#bytes.flush();
  }
}

/** Normal pieces are bytes in disguise; added ones are plain text. */
function pieceBytes(piece: string, kind: number, encoder: TextEncoder): Uint8Array {
  if (kind === kindCodes.user) return encoder.encode(piece);
  if (kind !== kindCodes.normal) return new Uint8Array(0);
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return encoder.encode(piece);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** @param added pieces that are no text of their own, or are found in a text before it is merged */
function mergePairs(
  merges: readonly string[],
  idOf: ReadonlyMap<string, number>,
  added: ReadonlySet<string>,
): PairTable {
  const isKnown = (piece: string): boolean => idOf.has(piece) || added.has(piece);
  const pairs = new PairTable(merges.length);
  for (const [rank, merge] of merges.entries()) {
    // The first character may itself be a space in a damaged file, so the cut is looked for after it.
    const cut = merge.indexOf(" ", 1);
    const first = merge.slice(0, cut);
    const second = merge.slice(cut + 1);
    const left = idOf.get(first);
    const right = idOf.get(second);
    const merged = idOf.get(first + second);
    if (cut >= 0 && left !== undefined && right !== undefined && merged !== undefined)
      pairs.add(left, right, rank, merged);
    // A piece of the vocabulary can be declared a special token later, and its merges stay: a text must not become one.
    else if (cut < 0 || ![first, second, first + second].every(isKnown))
      throw new CriaError(
        "bad-file",
        `merge ${rank}: expected two pieces that make a third, found ${JSON.stringify(merge)}`,
      );
  }
  return pairs;
}

function byteCharacters(): string[] {
  const isVisible = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let hiddenCount = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isVisible(byte) ? byte : 256 + hiddenCount++),
  );
}
