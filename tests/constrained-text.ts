/** Makes random texts through a constraint's masks, as a model with random logits would. */
import type { Constraint } from "../src/generate/constraint.ts";
import { createTokenizer } from "../src/tokenizer/create-tokenizer.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { kindCodes } from "../src/tokenizer/vocabulary.ts";

/** A SentencePiece tokenizer of bytes, printable ASCII and the given pieces (▁ for a space); id 2 ends a text. */
export function pieceTokenizer(pieces: readonly string[] = []): Tokenizer {
  const byteNames = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const ascii = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const words = [...new Set(["▁", ...ascii, ...pieces])];
  const all = ["<unk>", "<s>", "</s>", ...byteNames, ...words];
  const kinds = all.map((_, id) =>
    id === 0 ? kindCodes.unknown : id < 3 ? kindCodes.control : id < 259 ? kindCodes.byte : kindCodes.normal,
  );
  return createTokenizer({
    model: "llama",
    pieces: all,
    scores: Float32Array.from(all, (piece) => piece.length),
    kinds: Uint8Array.from(kinds),
    merges: [],
    special: { unknown: 0, bos: 1, eos: 2 },
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
  });
}

/** Pieces that cross the borders of JSON's own tokens, and some that split characters. */
// biome-ignore format: a list
export const jsonPieces: readonly string[] = [
  '":', '",', '":"', '","', '"}', '"]', '"},', '{"', '[{"', '["', "},", "],", "]}", "}}", '":▁"', '",▁"', "▁{", "▁[",
  '▁"', ":▁", ",▁", "▁1", "12", "123", "00", "0.", ".5", "e+", "E-", "-1", "true", "false", "null", "▁true", "tr", "ue",
  "al", "se", "nul", "name", "▁name", "id", "value", "a", "ab", "abc", "abcd", "▁a", "▁the", "the", "ing", "▁▁", "▁▁▁▁",
  "\\n", '\\"', "\\\\", "\\u", "\\u00", "é", "né", "ü", "日本", "本", "😀", "😀😀", "ж", "\n", "\n\n", "\n▁▁", "2024", "-0",
  "T1", ":0", "Z", "@", ".com", "::", "a-z", "x1", "yes", "no",
];

/** Numbers in [0, 1) from a seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

export interface RandomText {
  readonly text: string;
  readonly ids: readonly number[];
  /** False when the token limit cut it. */
  readonly complete: boolean;
}

export interface RandomTextOptions {
  readonly limit?: number;
  readonly patience?: number;
  readonly continues?: boolean;
}

/**
 * Draws tokens that the mask allows until the text ends. After `patience` tokens it takes the shortest way out that it
 * sees: the end, or else a token without letters.
 */
export function randomText(
  constraint: Constraint,
  tokenizer: Tokenizer,
  next: () => number,
  { limit = 2000, patience = 60, continues = false }: RandomTextOptions = {},
): RandomText {
  const state = constraint.start({ continues, endIds: tokenizer.endIds });
  const row = new Float32Array(tokenizer.vocabularySize);
  const ids: number[] = [];
  const decoder = tokenizer.decoder({ continues });
  let text = "";
  let complete = false;
  while (ids.length < limit) {
    if (state.finished) {
      complete = true;
      break;
    }
    row.fill(0);
    state.mask(row);
    const allowed: number[] = [];
    for (let id = 0; id < row.length; id++) if (row[id] === 0) allowed.push(id);
    if (allowed.length === 0) throw new Error(`the mask bans every token after ${JSON.stringify(text)}`);
    const ends = allowed.filter((id) => tokenizer.endIds.has(id));
    const hurried = ids.length > patience;
    let id = allowed[Math.floor(next() * allowed.length)];
    if (ends.length > 0 && (hurried || next() < 0.1)) id = ends[0];
    else if (hurried) {
      const closers = allowed.filter((one) => /^["}\]]/.test(tokenizer.pieceOf(one)));
      if (closers.length > 0 && next() < 0.7) id = closers[Math.floor(next() * closers.length)];
    }
    state.accept(id);
    if (tokenizer.endIds.has(id)) {
      complete = true;
      break;
    }
    ids.push(id);
    text += decoder.push(id);
  }
  return { text: text + decoder.flush(), ids, complete };
}
