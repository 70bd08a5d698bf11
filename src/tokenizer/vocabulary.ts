/**
 * The stored half of a tokenizer: its pieces and the rules to use them, whatever file they came from.
 *
 *   model "llama"  SentencePiece BPE: a score per piece, space written ▁ (U+2581), byte pieces <0x00> … <0xFF>
 *   model "gpt2"   byte-level BPE: an ordered list of merges over bytes that are written as visible characters
 *
 * Flow: a file → vocabularyFrom… → Vocabulary → createTokenizer, or → vocabularyToGguf.
 * Source: GGUF's tokenizer.ggml keys, whose vocabulary of words this follows.
 */
import { CriaError } from "../shared/errors.ts";
import type { SpecialIds, TokenKind } from "./tokenizer.ts";

/** SentencePiece's and GGUF's number of every kind. */
export const kindCodes: Readonly<Record<TokenKind, number>> = {
  normal: 1,
  unknown: 2,
  control: 3,
  user: 4,
  unused: 5,
  byte: 6,
};

const kindNames: readonly TokenKind[] = ["unused", "normal", "unknown", "control", "user", "unused", "byte"];

/** The kind of a stored code; 0, GGUF's "undefined", counts as unused. */
export function kindOfCode(code: number): TokenKind {
  return kindNames[code] ?? "unused";
}

export interface Vocabulary {
  readonly model: "llama" | "gpt2";
  /** The stored name of every token; its index is the id. */
  readonly pieces: readonly string[];
  /** Higher merges first; all 0 where `merges` decide. */
  readonly scores: Float32Array;
  /** One of `kindCodes` per piece. */
  readonly kinds: Uint8Array;
  /** "left right", most wanted first. Empty for a SentencePiece file, which has scores. */
  readonly merges: readonly string[];
  readonly special: SpecialIds;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** Put one space before a text ("llama" only). */
  readonly addSpacePrefix: boolean;
  /** That space is put only where a text begins, not behind a special token ("llama" only). Default false. */
  readonly prefixesOnlyStart?: boolean;
  /** That space is not put before a space ("llama" only). Default false. */
  readonly prefixesOnlyWords?: boolean;
  /** Trim a text and make each run of spaces one ("llama" only). */
  readonly removeExtraWhitespaces: boolean;
  /** A whole word that is a piece is taken without merging ("gpt2" only). */
  readonly ignoreMerges: boolean;
  /** llama.cpp's name of the rule that cuts words, or "patterns" ("gpt2" only). */
  readonly preTokenizer: string;
  /** Regular expressions that cut words one after the other, for `preTokenizer` "patterns". */
  readonly patterns: readonly string[];
}

/** Ids are packed with ranks and positions in 53 bits by the merger, so both are bounded far above any real file. */
const pieceCountLimit = 1 << 21;

/**
 * Returns the vocabulary after checking that its parts agree.
 *
 * @throws {CriaError} code "bad-file"; `source` says where it came from.
 */
export function checkVocabulary(vocabulary: Vocabulary, source: string): Vocabulary {
  const { pieces, scores, kinds, merges, special } = vocabulary;
  const fail = (message: string) => new CriaError("bad-file", `${source}: ${message}`);
  if (pieces.length === 0) throw fail("expected at least one piece, found none");
  if (pieces.length > pieceCountLimit || merges.length > pieceCountLimit)
    throw fail(
      `expected at most ${pieceCountLimit} pieces and merges, found ${pieces.length} and ${merges.length}`,
    );
  if (scores.length !== pieces.length)
    throw fail(`expected a score for each of ${pieces.length} pieces, found ${scores.length}`);
  if (kinds.length !== pieces.length)
    throw fail(`expected a type for each of ${pieces.length} pieces, found ${kinds.length}`);
  for (let id = 0; id < pieces.length; id++) {
    if (Number.isNaN(scores[id])) throw fail(`expected a number as score of piece ${id}, found NaN`);
    if (kinds[id]! > kindCodes.byte)
      throw fail(`expected a type of 0 to 6 for piece ${id}, found ${kinds[id]}`);
    if (kinds[id] === kindCodes.byte && byteOfPiece(pieces[id]!) === undefined)
      throw fail(
        `expected byte piece ${id} to be written <0x00> to <0xFF>, found ${JSON.stringify(pieces[id])}`,
      );
  }
  for (const [name, id] of Object.entries(special))
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < pieces.length))
      throw fail(`expected the ${name} id to be below ${pieces.length}, found ${id}`);
  return vocabulary;
}

/** The byte that a name such as <0x0A> stands for. */
export function byteOfPiece(piece: string): number | undefined {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? Number.parseInt(piece.slice(3, 5), 16) : undefined;
}
