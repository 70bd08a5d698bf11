/**
 * Our tokenizer and llama.cpp's give the same ids and the same texts: on lines of the development data and on random
 * Unicode strings, for every vocabulary at hand.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memorySource } from "../../src/files/byte-source.ts";
import { openGguf } from "../../src/files/gguf/read.ts";
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import { vocabularyFromGguf } from "../../src/tokenizer/from-gguf.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { dataFile } from "../data.ts";
import { fixture } from "../fixtures-path.ts";
import { type LlamaCpp, startLlamaCpp } from "./llama-cpp-client.ts";
import { randomTexts } from "./random-texts.ts";

const vocabularies = [
  { name: "SmolLM2", path: fixture("SmolLM2-135M-Instruct.Q4_1.gguf") },
  { name: "Llama 2", path: dataFile("tokenizers/vectors/ggml-vocab-llama-spm.gguf") },
  { name: "GPT-2", path: dataFile("tokenizers/vectors/ggml-vocab-gpt-2.gguf") },
];
const textFiles = [
  "text/tinystories/tinystories.txt",
  "text/tinystories/lowercase.txt",
  "text/wikitext-2/valid.txt",
  "text/c4-wiki-demo/c4_demo.jsonl",
  "text/c4-wiki-demo/wiki_demo.txt",
  "text/snakes/generated-trivia-1.md",
  "text/snakes/generated-jokes-1.md",
  "text/snakes/llama-howto-0.md",
  "text/snakes/step-by-step-math-0.md",
].flatMap((path) => dataFile(path) ?? []);

interface Options {
  readonly parseSpecial: boolean;
  readonly addSpecial: boolean;
}
const settings: readonly Options[] = [
  { parseSpecial: false, addSpecial: false },
  { parseSpecial: true, addSpecial: true },
];

describe.each(vocabularies)("the tokenizer of $name", ({ path }) => {
  let oracle: LlamaCpp | undefined;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    if (!path) return;
    const file = await openGguf(memorySource(new Uint8Array(readFileSync(path)), path));
    tokenizer = createTokenizer(vocabularyFromGguf(file.metadata));
    oracle = await startLlamaCpp(path, { vocabularyOnly: true });
  });
  afterAll(() => oracle?.close());

  for (const options of settings) {
    const how = options.parseSpecial ? "with special tokens" : "as plain text";
    test(`agrees on 10,000 lines of the data ${how}`, async ({ skip }) => {
      if (!oracle || textFiles.length === 0) return skip("no llama.cpp, vocabulary or data");
      expect(await differences(oracle, tokenizer, dataTexts(10_000), options)).toEqual([]);
    });
    test(`agrees on 2,000 random strings ${how}`, async ({ skip }) => {
      if (!oracle) return skip("no llama.cpp or vocabulary");
      expect(await differences(oracle, tokenizer, randomTexts(2_000), options)).toEqual([]);
    });
  }

  // Of plain text only: around control tokens ours follows SentencePiece, which writes no space after <s> and " \u2047 "
  // for an unknown piece, where llama.cpp writes a space and `<unk>`.
  test("writes the ids of a text as that text, or as llama.cpp does", async ({ skip }) => {
    if (!oracle || textFiles.length === 0) return skip("no llama.cpp, vocabulary or data");
    const texts = [...dataTexts(2_000), ...randomTexts(2_000, 2)].map((text) => text.toWellFormed());
    const ids = texts.map((text) => tokenizer.encode(text));
    const theirs = await oracle.request({ method: "detokenize", ids, showSpecial: false });
    const differing = texts.flatMap((text, index) => {
      const ours = tokenizer.decode(ids[index] ?? []);
      // llama.cpp drops spaces before punctuation for GPT-2, so the text itself is right too. Where a vocabulary has no
      // token for a byte, the rest is no text: how many U+FFFD it becomes is each program's own choice.
      const isRight = ours === text || ours === theirs[index] || theirs[index]?.includes("\ufffd");
      return isRight ? [] : [{ text, ours, theirs: theirs[index] }];
    });
    expect(differing.slice(0, 20)).toEqual([]);
  });
});

/** The first few texts whose ids differ, with both lists of ids. */
async function differences(
  oracle: LlamaCpp,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: Options,
): Promise<object[]> {
  const found: object[] = [];
  for (let start = 0; start < texts.length; start += 1_000) {
    const part = texts.slice(start, start + 1_000);
    const expected = await oracle.request({ method: "tokenize", texts: part, ...options });
    for (const [index, text] of part.entries()) {
      const ours = tokenizer.encode(text, options);
      const theirs = expected[index] ?? [];
      if (ours.length !== theirs.length || ours.some((id, at) => id !== theirs[at]))
        found.push({ text: JSON.stringify(text), ...firstDifference(tokenizer, ours, theirs) });
    }
  }
  return found.slice(0, 20);
}

/** The pieces from the first that differs on. */
function firstDifference(tokenizer: Tokenizer, ours: number[], theirs: number[]): object {
  const at = ours.findIndex((id, index) => id !== theirs[index]);
  const pieces = (ids: number[]): string[] =>
    ids
      .slice(at < 0 ? ours.length : at)
      .slice(0, 8)
      .map((id) => tokenizer.pieceOf(id));
  return { ours: pieces(ours), theirs: pieces(theirs) };
}

/** Takes a line of each file in turn; every tenth text is a paragraph of five lines, for what newlines do. */
function dataTexts(count: number): string[] {
  const remaining = textFiles.map((path) => readFileSync(path, "utf8").split("\n").reverse());
  const texts: string[] = [];
  while (texts.length < count && remaining.some((lines) => lines.length > 0))
    for (const lines of remaining) {
      const taken = lines.splice(texts.length % 10 === 9 ? -5 : -1).reverse();
      if (taken.length > 0 && texts.length < count) texts.push(taken.join("\n"));
    }
  return texts;
}
