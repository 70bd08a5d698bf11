/** Vocabularies in the three files they come in outside GGUF. */
import { vocabularyFromJson } from "../../../src/tokenizer/from-json.ts";
import { vocabularyFromLlama2c } from "../../../src/tokenizer/from-llama2c.ts";
import { vocabularyFromSentencePiece } from "../../../src/tokenizer/from-sentence-piece.ts";
import { byteCharacters, sentencePieceVocabulary } from "../../../tests/builders/vocabulary.ts";
import type { FuzzTarget } from "../target.ts";
import { useVocabulary } from "../use-vocabulary.ts";

const vocabulary = sentencePieceVocabulary(["▁", "a", "▁a", "b", "h", "e", "he", "▁he"]);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** tokenizer.model: SentencePiece's protobuf. */
export const sentencePieceTarget: FuzzTarget = {
  name: "tokenizer-model",
  seeds: () => {
    const pieces = vocabulary.pieces.flatMap((piece, id) => {
      const score = [21, ...new Uint8Array(Float32Array.of(vocabulary.scores[id] as number).buffer)];
      return block(1, [...block(1, encode(piece)), ...score, 24, vocabulary.kinds[id] as number]);
    });
    const trainer = block(2, [24, 2]);
    const normalizer = block(3, [...block(1, encode("identity")), 24, 1, 32, 0, 40, 1]);
    return [Uint8Array.from([...pieces, ...trainer, ...normalizer])];
  },
  run: async (bytes) => useVocabulary(vocabularyFromSentencePiece(bytes)),
};

function block(field: number, bytes: ArrayLike<number>): number[] {
  return [field * 8 + 2, bytes.length, ...Array.from(bytes)];
}

/** tokenizer.bin of llama2.c. */
export const tokenizerBinTarget: FuzzTarget = {
  name: "tokenizer-bin",
  seeds: () => {
    const pieces = vocabulary.pieces.map((piece) => encode(piece.replaceAll("▁", " ")));
    const entries = pieces.flatMap((piece, id) => [
      ...new Uint8Array(Float32Array.of(-id).buffer),
      ...[piece.length, 0, 0, 0],
      ...piece,
    ]);
    return [Uint8Array.from([32, 0, 0, 0, ...entries])];
  },
  run: async (bytes) => useVocabulary(vocabularyFromLlama2c(bytes)),
};

const idsOf = (pieces: readonly string[]) => Object.fromEntries(pieces.map((piece, id) => [piece, id]));

/** tokenizer.json, of both kinds. */
export const tokenizerJsonTarget: FuzzTarget = {
  name: "tokenizer-json",
  seeds: () => [encode(JSON.stringify(byteLevelJson)), encode(JSON.stringify(spacedJson))],
  tokens: [
    ...[
      "null",
      "-1",
      "0",
      "1e999",
      '"',
      "{",
      "}",
      "[",
      "]",
      ",",
      "(",
      ")",
      "*",
      "+",
      "|",
      "(a+)+$",
      "\\\\p{L}",
    ],
    ...["\\ud800", "true", '"Regex"', '"String"', '"Sequence"', '"ByteLevel"', "x".repeat(300)],
  ],
  run: async (bytes) => useVocabulary(vocabularyFromJson(new TextDecoder().decode(bytes))),
};

const byteLevelJson = {
  added_tokens: [{ id: 258, content: "<|end_of_text|>", special: true, lstrip: false, normalized: false }],
  normalizer: null,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+" },
        behavior: "Isolated",
        invert: false,
      },
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  },
  post_processor: { type: "ByteLevel" },
  model: { type: "BPE", vocab: idsOf([...byteCharacters, "ab", "abc"]), merges: ["a b", "ab c"] },
};

const spacedJson = {
  added_tokens: [{ id: 0, content: "<unk>", special: true, lstrip: false, normalized: false }],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  model: {
    type: "BPE",
    byte_fallback: true,
    fuse_unk: true,
    unk_token: "<unk>",
    vocab: idsOf(vocabulary.pieces),
    merges: ["▁ a", "h e", "▁ he"],
  },
};
