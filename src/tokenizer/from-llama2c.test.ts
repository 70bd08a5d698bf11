import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dataFile } from "../../tests/data.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { vocabularyFromLlama2c } from "./from-llama2c.ts";
import { vocabularyFromSentencePiece } from "./from-sentence-piece.ts";

/** A tokenizer.bin of the given pieces, with scores 0, -1, -2 … */
function tokenizerBin(pieces: readonly string[], longest = 27): Uint8Array<ArrayBuffer> {
  const encoded = pieces.map((piece) => new TextEncoder().encode(piece));
  const bytes = new Uint8Array(4 + encoded.reduce((sum, { length }) => sum + 8 + length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, longest, true);
  let at = 4;
  for (const [id, piece] of encoded.entries()) {
    view.setFloat32(at, 0 - id, true);
    view.setInt32(at + 4, piece.length, true);
    bytes.set(piece, at + 8);
    at += 8 + piece.length;
  }
  return bytes;
}

const pieces = ["<unk>", "\n<s>\n", "\n</s>\n", "<0x0A>", " a", "  "];

test("reads pieces in SentencePiece's names, with their kinds", () => {
  const vocabulary = vocabularyFromLlama2c(tokenizerBin(pieces), 6);
  expect(vocabulary.pieces).toEqual(["<unk>", "<s>", "</s>", "<0x0A>", "▁a", "▁▁"]);
  expect([...vocabulary.kinds]).toEqual([2, 3, 3, 6, 1, 1]);
  expect([...vocabulary.scores]).toEqual([0, -1, -2, -3, -4, -5]);
  expect(createTokenizer(vocabulary).encode("a\n")).toEqual([4, 3]);
});

test("damaged files are refused", () => {
  const bytes = tokenizerBin(pieces);
  const bad = expect.objectContaining({ name: "CriaError", code: "bad-file" });
  for (let length = 0; length < bytes.length; length++)
    expect(() => vocabularyFromLlama2c(bytes.slice(0, length), 6), `${length} bytes`).toThrow(bad);
  expect(() => vocabularyFromLlama2c(bytes, 7)).toThrow(bad);
  expect(() => vocabularyFromLlama2c(tokenizerBin(pieces, 1))).toThrow(bad);
  expect(() => vocabularyFromLlama2c(bytes.with(12, 255))).toThrow(bad);
  expect(() => vocabularyFromLlama2c(bytes.with(8, 255))).toThrow(bad);
});

const llama2Bin = dataFile("tokenizers/llama2/tokenizer.bin");
const llama2Model = dataFile("tokenizers/llama2/tokenizer.model");
const smallBin = dataFile("models/stories260K/tok512.bin");

test.skipIf(!llama2Bin || !llama2Model)("Llama 2's tokenizer.bin equals its tokenizer.model", () => {
  expect(vocabularyFromLlama2c(readFileSync(llama2Bin!), 32000)).toEqual(
    vocabularyFromSentencePiece(readFileSync(llama2Model!)),
  );
});

test.skipIf(!smallBin)("the tokenizer of stories260K reads and round-trips", () => {
  const tokenizer = createTokenizer(vocabularyFromLlama2c(readFileSync(smallBin!), 512));
  const text = "Once upon a time, there was a little girl named Lily.";
  expect(
    tokenizer
      .encode(text)
      .map((id) => tokenizer.pieceOf(id))
      .slice(0, 6),
  ).toEqual(["▁Once", "▁upon", "▁a", "▁time", ",", "▁there"]);
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});
