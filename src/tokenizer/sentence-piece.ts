/**
 * SentencePiece BPE, Llama 1 and 2's tokenizer.
 *
 *   encode   one ▁ goes before the text and every space becomes ▁; code points are symbols; the adjacent pair that
 *            makes the piece of highest score merges, leftmost first; what is no piece becomes byte tokens
 *   decode   ▁ becomes a space, except one at the very start; runs of byte tokens are UTF-8
 *
 * Pieces decide where a text can be cut: when no piece holds the characters a and b side by side, no merge ever joins
 * them, so the parts before and after are independent. In Llama 2's vocabulary that cuts before every word, and around
 * digits and newlines, so that words are short and a cache of words pays.
 *
 * Flow: text → create-tokenizer.ts → encodeInto → cut → WordCache or mergeSymbols → ids.
 * Source: Kudo & Richardson 2018, arXiv 1808.06226; Sennrich et al. 2016, arXiv 1508.07909.
 */
import { CriaError } from "../shared/errors.ts";
import type { Codec } from "./codec.ts";
import { mergeSymbols, PairTable, unknownSymbol } from "./merger.ts";
import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";
import { Utf8Stream } from "./utf8-stream.ts";
import { byteOfPiece, kindCodes, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";

/** U+2581, how a space is written in pieces. */
const spaceMark = "\u2581";
const spaceMarkCode = 0x2581;
const spaceCode = 0x20;
/** What SentencePiece shows for the unknown token. */
const unknownText = " \u2047 ";
/** SentencePiece's own limit is 16 by default; a bound keeps the table of pairs in proportion to the file. */
const pieceLengthLimit = 256;

/** What merging needs of a vocabulary. */
interface MergeRules {
  /** Pairs of symbols. Ids of pieces are symbols, and so are characters that only longer pieces contain. */
  readonly pairs: PairTable;
  readonly symbolOfCharacter: ReadonlyMap<number, number>;
  /** Pairs of code points that some piece holds side by side, with the space mark counted as a space. */
  readonly joints: PairTable;
  /** The same for ASCII: 1 at first · 128 + second. */
  readonly asciiJoints: Uint8Array;
}

export function sentencePieceCodec(vocabulary: Vocabulary): Codec {
  const { pieces, kinds, special } = vocabulary;
  const rules = mergeRules(vocabulary);
  const cache = new WordCache();
  const encoder = new TextEncoder();
  const byteIds = new Int32Array(256).fill(unknownSymbol);
  for (const [id, piece] of pieces.entries())
    if (kinds[id] === kindCodes.byte) byteIds[byteOfPiece(piece)!] = id;
  let symbols = new Int32Array(1024);

  /** The ids of one independent part of a text. */
  function encodePart(ids: number[], part: string): void {
    if (symbols.length < part.length) symbols = new Int32Array(part.length);
    let count = 0;
    for (let i = 0; i < part.length; i++) {
      const code = part.codePointAt(i)!;
      if (code > 0xffff) i++;
      const symbol = rules.symbolOfCharacter.get(code === spaceMarkCode ? spaceCode : code);
      // A character that no piece contains stands alone in its part, so its symbol never needs to be told from others.
      symbols[count++] = symbol ?? unknownSymbol;
    }
    if (count > 1) count = mergeSymbols(symbols, count, rules.pairs);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const symbol = symbols[i]!;
      if (symbol >= 0 && symbol < pieces.length) {
        ids.push(symbol);
        at += pieces[symbol]!.length;
      } else {
        const character = String.fromCodePoint(part.codePointAt(at)!);
        pushBytes(ids, character === " " ? spaceMark : character);
        at += character.length;
      }
    }
    if (symbols.length > 1 << 16) symbols = new Int32Array(1024);
  }

  function pushBytes(ids: number[], character: string): void {
    for (const byte of encoder.encode(character)) {
      const id = byteIds[byte]!;
      if (id >= 0) ids.push(id);
      else if (special.unknown !== undefined && ids.at(-1) !== special.unknown) ids.push(special.unknown);
    }
  }

  function encodeInto(ids: number[], plainText: string, first: boolean): void {
    let text = plainText;
    if (vocabulary.removeExtraWhitespaces) text = text.replace(/ +/g, " ").replace(/^ | $/g, "");
    if (text === "") return;
    const hasSpace = vocabulary.prefixesOnlyWords && (text[0] === " " || text[0] === spaceMark);
    if (first && vocabulary.addSpacePrefix && !hasSpace) text = ` ${text}`;
    const { asciiJoints, joints } = rules;
    let start = 0;
    let before = -1;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let code = unit === spaceMarkCode ? spaceCode : unit;
      if (code >= 0xd800 && code <= 0xdbff) code = text.codePointAt(i)!;
      if (before >= 0) {
        const joined =
          (before | code) < 128 ? asciiJoints[(before << 7) | code] === 1 : joints.find(before, code) >= 0;
        if (!joined) {
          encodeCached(ids, text.slice(start, i));
          start = i;
        }
      }
      before = code;
      if (code > 0xffff) i++;
    }
    encodeCached(ids, text.slice(start));
  }

  function encodeCached(ids: number[], part: string): void {
    let known = cache.get(part);
    if (!known) {
      const found: number[] = [];
      encodePart(found, part);
      cache.set(part, found);
      known = found;
    }
    // A run of unknown characters is one unknown token, also across parts.
    const fused = known[0] === special.unknown && ids.at(-1) === special.unknown;
    for (let i = fused ? 1 : 0; i < known.length; i++) ids.push(known[i]!);
  }

  return {
    encodeInto,
    decoder: (options) => new SentencePieceDecoder(vocabulary, options),
    bytesOf: (id) =>
      kinds[id] === kindCodes.byte
        ? Uint8Array.of(byteOfPiece(pieces[id]!)!)
        : encoder.encode(shownText(pieces[id]!, kinds[id]!)),
  };
}

/** The text of a piece inside a text; byte pieces have none of their own. */
function shownText(piece: string, kind: number): string {
  if (kind === kindCodes.unknown) return unknownText;
  return kind === kindCodes.normal || kind === kindCodes.user ? piece.replaceAll(spaceMark, " ") : "";
}

class SentencePieceDecoder implements StreamDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #showSpecial: boolean;
  readonly #bytes = new Utf8Stream();
  /** Whether a leading space is still to be dropped. */
  #atStart: boolean;

  constructor(vocabulary: Vocabulary, options: DecodeOptions) {
    this.#vocabulary = vocabulary;
    this.#showSpecial = options.showSpecial ?? false;
    this.#atStart = !options.continues && (vocabulary.addSpacePrefix || vocabulary.removeExtraWhitespaces);
  }

  push(id: number): string {
    const kind = this.#vocabulary.kinds[id];
    if (kind === kindCodes.byte) {
      this.#atStart = false;
      return this.#bytes.push(byteOfPiece(this.#vocabulary.pieces[id]!)!);
    }
    const rest = this.#bytes.isEmpty ? "" : this.#bytes.flush();
    if (kind === kindCodes.control && !this.#showSpecial) return rest;
    if (kind !== kindCodes.control && kind !== kindCodes.unknown)
      return rest + this.#withoutPrefix(shownText(this.#vocabulary.pieces[id]!, kind!));
    this.#atStart = false;
    return rest + (kind === kindCodes.control ? this.#vocabulary.pieces[id]! : unknownText);
  }

  flush(): string {
    return this.#bytes.flush();
  }

  #withoutPrefix(text: string): string {
    if (!this.#atStart || text === "") return text;
    if (!text.startsWith(" ")) {
      this.#atStart = false;
      return text;
    }
    // Where runs of spaces are removed, every leading one is; otherwise only the first.
    this.#atStart = this.#vocabulary.removeExtraWhitespaces && text.length === 1;
    return text.slice(1);
  }
}

function mergeRules(vocabulary: Vocabulary): MergeRules {
  const { pieces, kinds } = vocabulary;
  const idOf = new Map<string, number>();
  const symbolOfCharacter = new Map<number, number>();
  const joints = new PairTable();
  const asciiJoints = new Uint8Array(128 * 128);
  let virtualCount = 0;
  const codes = new Int32Array(pieceLengthLimit);
  const mergeable: number[] = [];
  for (const [id, piece] of pieces.entries()) {
    // Added pieces are found in a text before it is merged, but those with a space only where it is written as the mark.
    const isAdded =
      kinds[id] === kindCodes.user && piece.includes(spaceMark) && piece.length <= pieceLengthLimit;
    if (kinds[id] !== kindCodes.normal && !isAdded) continue;
    // A text has no space left when it is merged, so a piece with one never comes about.
    if (piece === "" || piece.includes(" ") || idOf.has(piece)) continue;
    if (piece.length > pieceLengthLimit)
      throw new CriaError(
        "unsupported",
        `piece ${id} has ${piece.length} characters; at most ${pieceLengthLimit} are supported`,
      );
    idOf.set(piece, id);
    mergeable.push(id);
    const count = putCodePoints(piece, codes);
    if (count === 1) symbolOfCharacter.set(codes[0]!, id);
    for (let i = 1; i < count; i++) {
      const [left, right] = [codes[i - 1]!, codes[i]!];
      if ((left | right) < 128) asciiJoints[(left << 7) | right] = 1;
      else joints.add(left, right, 0, 0);
    }
  }
  for (const id of mergeable) {
    const count = putCodePoints(pieces[id]!, codes);
    for (let i = 0; i < count; i++)
      if (!symbolOfCharacter.has(codes[i]!)) symbolOfCharacter.set(codes[i]!, pieces.length + virtualCount++);
  }

  const symbolOf = (text: string): number | undefined =>
    idOf.get(text) ?? characterSymbol(text, symbolOfCharacter);
  const pairs =
    vocabulary.merges.length > 0
      ? listedPairs(vocabulary, idOf, symbolOf)
      : scoredPairs(vocabulary, mergeable, symbolOf);
  return { pairs, symbolOfCharacter, joints, asciiJoints };
}

/** Every way to cut a piece in two symbols, ranked by the score of the piece. */
function scoredPairs(
  vocabulary: Vocabulary,
  mergeable: number[],
  symbolOf: (text: string) => number | undefined,
): PairTable {
  const { pieces, scores } = vocabulary;
  const rankOfScore = new Map<number, number>();
  for (const score of new Float32Array(mergeable.map((id) => scores[id]!)).sort().reverse())
    if (!rankOfScore.has(score)) rankOfScore.set(score, rankOfScore.size);
  const pairs = new PairTable(mergeable.length * 3);
  for (const id of mergeable) {
    const piece = pieces[id]!;
    for (let cut = 1; cut < piece.length; cut++) {
      const left = symbolOf(piece.slice(0, cut));
      const right = left === undefined ? undefined : symbolOf(piece.slice(cut));
      if (left !== undefined && right !== undefined)
        pairs.add(left, right, rankOfScore.get(scores[id]!)!, id);
    }
  }
  return pairs;
}

/** The pairs of a file that lists its merges. */
function listedPairs(
  { merges, pieces, kinds }: Vocabulary,
  idOf: ReadonlyMap<string, number>,
  symbolOf: (text: string) => number | undefined,
): PairTable {
  const pairs = new PairTable(merges.length);
  const added = new Set(pieces.filter((_, id) => kinds[id] !== kindCodes.normal));
  const isKnown = (piece: string): boolean => symbolOf(piece) !== undefined || added.has(piece);
  for (const [rank, merge] of merges.entries()) {
    const cut = merge.indexOf(" ");
    const first = merge.slice(0, cut);
    const second = merge.slice(cut + 1);
    const left = symbolOf(first);
    const right = symbolOf(second);
    const merged = idOf.get(first + second);
    if (cut > 0 && left !== undefined && right !== undefined && merged !== undefined)
      pairs.add(left, right, rank, merged);
    // A piece of the vocabulary can be declared a special token later, and its merges stay: a text must not become one.
    else if (cut < 1 || ![first, second, first + second].every(isKnown))
      throw new CriaError(
        "bad-file",
        `merge ${rank}: expected two pieces that make a third, found ${JSON.stringify(merge)}`,
      );
  }
  return pairs;
}

function characterSymbol(text: string, symbolOfCharacter: ReadonlyMap<number, number>): number | undefined {
  if (text.length > 2 || text === "") return undefined;
  const code = text.codePointAt(0)!;
  if (text.length !== (code > 0xffff ? 2 : 1)) return undefined;
  return symbolOfCharacter.get(code === spaceMarkCode ? spaceCode : code);
}

/** Puts the code points of a piece, with the space mark as a space, into room for them, and gives their number. */
function putCodePoints(piece: string, codes: Int32Array): number {
  let count = 0;
  for (let at = 0; at < piece.length; at++) {
    const code = piece.codePointAt(at)!;
    codes[count++] = code === spaceMarkCode ? spaceCode : code;
    if (code > 0xffff) at++;
  }
  return count;
}
