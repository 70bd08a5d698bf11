/**
 * Makes a tokenizer of a vocabulary. Here is what both families share: special tokens in a text, the ids at its ends,
 * names, and checks of what callers pass; a Codec does the rest.
 *
 * Flow: vocabularyFrom… → createTokenizer → Tokenizer → generate/, train/, server/.
 */
import { CriaError } from "../shared/errors.ts";
import { byteLevelCodec } from "./byte-level.ts";
import type { Codec } from "./codec.ts";
import { sentencePieceCodec } from "./sentence-piece.ts";
import { endIdsOf, specialFinder } from "./special-tokens.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  SpecialIds,
  StreamDecoder,
  Tokenizer,
  TokenKind,
} from "./tokenizer.ts";
import { kindCodes, kindOfCode, type Vocabulary } from "./vocabulary.ts";

/**
 * Returns the tokenizer of a vocabulary.
 *
 * @throws {CriaError} code "bad-file" when its merges name pieces that it does not have; code "unsupported" when it
 * cuts words by a rule that is not known.
 */
export function createTokenizer(vocabulary: Vocabulary): Tokenizer {
  return new VocabularyTokenizer(vocabulary);
}

class VocabularyTokenizer implements Tokenizer {
  readonly kind: "sentencepiece" | "byte-level";
  readonly vocabularySize: number;
  readonly special: SpecialIds;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly endIds: ReadonlySet<number>;
  readonly #vocabulary: Vocabulary;
  readonly #codec: Codec;
  readonly #ids = new Map<string, number>();
  readonly #findUserTokens: ReturnType<typeof specialFinder>;
  readonly #findSpecialTokens: ReturnType<typeof specialFinder>;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.kind = vocabulary.model === "llama" ? "sentencepiece" : "byte-level";
    this.vocabularySize = vocabulary.pieces.length;
    this.special = vocabulary.special;
    this.addBos = vocabulary.addBos && vocabulary.special.bos !== undefined;
    this.addEos = vocabulary.addEos && vocabulary.special.eos !== undefined;
    this.endIds = endIdsOf(vocabulary);
    this.#codec = vocabulary.model === "llama" ? sentencePieceCodec(vocabulary) : byteLevelCodec(vocabulary);
    for (const [id, piece] of vocabulary.pieces.entries())
      if (!this.#ids.has(piece)) this.#ids.set(piece, id);
    const { user, control, unknown } = kindCodes;
    this.#findUserTokens = specialFinder(vocabulary, [user]);
    this.#findSpecialTokens = specialFinder(vocabulary, [user, control, unknown]);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    if (typeof text !== "string")
      throw new CriaError("bad-input", `encode: expected a string, got ${typeof text}`);
    // Half of a surrogate pair is no character; SentencePiece and UTF-8 encoders read it as U+FFFD.
    const wellFormed = text.toWellFormed();
    const ids: number[] = [];
    if (options.addSpecial && this.addBos) ids.push(this.special.bos!);
    let start = 0;
    const again = !this.#vocabulary.prefixesOnlyStart;
    let first = again || !options.inside;
    for (const match of options.parseSpecial
      ? this.#findSpecialTokens(wellFormed)
      : this.#findUserTokens(wellFormed)) {
      if (match.start > start) this.#codec.encodeInto(ids, wellFormed.slice(start, match.start), first);
      ids.push(match.id);
      start = match.end;
      first = again;
    }
    if (start < wellFormed.length) this.#codec.encodeInto(ids, wellFormed.slice(start), first);
    if (options.addSpecial && this.addEos) ids.push(this.special.eos!);
    return ids;
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const decoder = this.#codec.decoder(options);
    let text = "";
    for (const id of ids) text += decoder.push(this.#checkedId(id));
    return text + decoder.flush();
  }

  decoder(options: DecodeOptions = {}): StreamDecoder {
    const decoder = this.#codec.decoder(options);
    return { push: (id) => decoder.push(this.#checkedId(id)), flush: () => decoder.flush() };
  }

  pieceOf(id: number): string {
    return this.#vocabulary.pieces[this.#checkedId(id)]!;
  }

  kindOf(id: number): TokenKind {
    return kindOfCode(this.#vocabulary.kinds[this.#checkedId(id)]!);
  }

  bytesOf(id: number): Uint8Array {
    return this.#codec.bytesOf(this.#checkedId(id));
  }

  idOf(piece: string): number | undefined {
    return this.#ids.get(piece);
  }

  #checkedId(id: number): number {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabularySize) return id;
    throw new CriaError("bad-input", `expected a token id from 0 to ${this.vocabularySize - 1}, got ${id}`);
  }
}
