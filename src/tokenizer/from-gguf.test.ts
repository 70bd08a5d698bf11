import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { byteLevelVocabulary, sentencePieceVocabulary } from "../../tests/builders/vocabulary.ts";
import { dataFile } from "../../tests/data.ts";
import { readGgufMetadata } from "../../tests/gguf-metadata.ts";
import type { MetadataValue } from "../files/stored-tensor.ts";
import { vocabularyFromGguf } from "./from-gguf.ts";
import { vocabularyFromSentencePiece } from "./from-sentence-piece.ts";
import { vocabularyToGguf } from "./to-gguf.ts";

const spaced = sentencePieceVocabulary(["▁a", "b"]);
const bytes = byteLevelVocabulary(["a b"], ["<|endoftext|>"], {
  special: { bos: 257, eos: 257 },
  preTokenizer: "smollm",
});

/** The stored form of a vocabulary with some keys changed; null removes one. */
function stored(
  changes: Record<string, MetadataValue | null> = {},
  vocabulary = spaced,
): Map<string, MetadataValue> {
  const metadata = new Map(vocabularyToGguf(vocabulary));
  for (const [key, value] of Object.entries(changes))
    if (value === null) metadata.delete(`tokenizer.ggml.${key}`);
    else metadata.set(`tokenizer.ggml.${key}`, value);
  return metadata;
}

test("a vocabulary comes back from its metadata", () => {
  expect(vocabularyFromGguf(vocabularyToGguf(spaced))).toEqual(spaced);
  expect(vocabularyFromGguf(vocabularyToGguf(bytes))).toEqual(bytes);
});

test("keys that are left out have llama.cpp's defaults", () => {
  const flags = { add_bos_token: null, add_eos_token: null, add_space_prefix: null };
  const ids = { bos_token_id: null, eos_token_id: null, unknown_token_id: null };
  const plain = vocabularyFromGguf(stored({ ...flags, ...ids }));
  expect([plain.addBos, plain.addEos, plain.addSpacePrefix]).toEqual([true, false, true]);
  expect(plain.special).toEqual({ unknown: 0, bos: 1, eos: 2 });
  const byteLevel = vocabularyFromGguf(stored({ ...flags, ...ids }, bytes));
  expect([byteLevel.addBos, byteLevel.ignoreMerges, byteLevel.special]).toEqual([false, false, {}]);
  const llama3 = vocabularyFromGguf(stored({ ...flags, pre: "llama-v3" }, bytes));
  expect([llama3.addBos, llama3.ignoreMerges, llama3.preTokenizer]).toEqual([true, true, "llama-bpe"]);
  expect(vocabularyFromGguf(stored({ pre: null }, bytes)).preTokenizer).toBe("default");
});

test("plain lists of numbers are read like typed arrays, and a bad special id like none", () => {
  const changes = { scores: [...spaced.scores], token_type: [...spaced.kinds], eos_token_id: 999_999 };
  expect(vocabularyFromGguf(stored(changes))).toEqual(spaced);
});

test.each<[string, Record<string, MetadataValue | null>]>([
  ["not-found", { model: null }],
  ["not-found", { tokens: null }],
  ["unsupported", { model: "bert" }],
  ["unsupported", { model: 7 }],
  ["bad-file", { tokens: [] }],
  ["bad-file", { tokens: [1, 2] }],
  ["bad-file", { tokens: "abc" }],
  ["bad-file", { scores: new Float32Array(3) }],
  ["bad-file", { scores: new Float32Array(spaced.pieces.length).fill(Number.NaN) }],
  ["bad-file", { token_type: Int32Array.from(spaced.kinds, () => 9) }],
  ["bad-file", { token_type: Int32Array.from(spaced.kinds, () => -1) }],
  ["bad-file", { token_type: Int32Array.from(spaced.kinds, () => 6) }],
  ["bad-file", { bos_token_id: "one" }],
  ["bad-file", { add_bos_token: 1 }],
])("refuses with %s: %j", (code, changes) => {
  expect(() => vocabularyFromGguf(stored(changes))).toThrow(
    expect.objectContaining({ name: "CriaError", code }),
  );
});

test("what GGUF cannot say is not written", () => {
  const patterns = { ...bytes, preTokenizer: "patterns", patterns: ["\\s"] };
  expect(() => vocabularyToGguf(patterns)).toThrow(expect.objectContaining({ code: "unsupported" }));
  const trimmed = { ...spaced, removeExtraWhitespaces: true };
  expect(() => vocabularyToGguf(trimmed)).toThrow(expect.objectContaining({ code: "unsupported" }));
});

const ggufFile = dataFile("tokenizers/vectors/ggml-vocab-llama-spm.gguf");
const modelFile = dataFile("tokenizers/llama2/tokenizer.model");

test.skipIf(!ggufFile || !modelFile)("Llama 2's GGUF and tokenizer.model hold the same vocabulary", () => {
  const fromGguf = vocabularyFromGguf(readGgufMetadata(ggufFile!));
  expect(vocabularyFromSentencePiece(readFileSync(modelFile!))).toEqual(fromGguf);
  expect(vocabularyFromGguf(vocabularyToGguf(fromGguf))).toEqual(fromGguf);
});
