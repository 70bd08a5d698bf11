/** A tokenizer that Cria trained gives the same ids in llama.cpp, and its texts come back. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GgufEntry, writeGguf } from "../../src/files/gguf/write.ts";
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import { vocabularyToGguf } from "../../src/tokenizer/to-gguf.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { trainTokenizer } from "../../src/tokenizer/train.ts";
import type { Vocabulary } from "../../src/tokenizer/vocabulary.ts";
import { dataFile } from "../data.ts";
import { memorySink } from "../memory-sink.ts";
import { type LlamaCpp, startLlamaCpp } from "./llama-cpp-client.ts";
import { randomTexts } from "./random-texts.ts";

/** What is trained on where the public stories are not at hand: the documentation of this project. */
const stories = dataFile("text/tinystories/tinystories.txt");
const text = readFileSync(stories ?? join(import.meta.dirname, "..", "..", "docs", "log.md"), "utf8");

const settings = [
  { name: "of 512 pieces", vocabularySize: 512 },
  { name: "of 4,096 pieces with control symbols", vocabularySize: stories ? 4096 : 900 },
];

describe.each(settings)("a trained tokenizer $name", ({ vocabularySize }) => {
  let oracle: LlamaCpp | undefined;
  let tokenizer: Tokenizer;
  const folder = mkdtempSync(join(tmpdir(), "cria-tokenizer-"));
  beforeAll(async () => {
    const controlSymbols = vocabularySize > 512 ? ["<|user|>", "<|assistant|>"] : [];
    const vocabulary = await trainTokenizer([text], { vocabularySize, controlSymbols });
    tokenizer = createTokenizer(vocabulary);
    const path = join(folder, "vocabulary.gguf");
    writeFileSync(path, await vocabularyFile(vocabulary));
    oracle = await startLlamaCpp(path, { vocabularyOnly: true });
  });
  afterAll(async () => {
    await oracle?.close();
    rmSync(folder, { recursive: true });
  });

  test("gives the ids and texts that llama.cpp gives", async ({ skip }) => {
    if (!oracle) return skip("llama.cpp is not installed");
    const marked = ["<|user|>Hi<|assistant|>Once upon a time</s>", "a <|user|> b", "</s><s>"];
    const texts = [...text.split("\n").slice(0, 5000), ...randomTexts(2000), ...marked];
    for (const options of [
      { parseSpecial: false, addSpecial: false },
      { parseSpecial: true, addSpecial: true },
    ]) {
      const theirs = await oracle.request({ method: "tokenize", texts, ...options });
      const differing = texts.flatMap((line, index) => {
        const ours = tokenizer.encode(line, options);
        return ours.join() === theirs[index]?.join() ? [] : [{ line, ours, theirs: theirs[index] }];
      });
      expect(differing.slice(0, 5)).toEqual([]);
    }
    const lines = texts.map((line) => line.toWellFormed()).filter((line) => !line.includes("\u2581"));
    expect(lines.filter((line) => tokenizer.decode(tokenizer.encode(line)) !== line)).toEqual([]);
  });
});

/** A GGUF file without weights. */
async function vocabularyFile(vocabulary: Vocabulary): Promise<Uint8Array> {
  const entries: GgufEntry[] = [{ key: "general.architecture", type: "string", value: "llama" }];
  for (const [key, value] of vocabularyToGguf(vocabulary)) entries.push({ key, type: typeOf(value), value });
  const sink = memorySink();
  await writeGguf(sink, { entries, tensors: [] });
  return sink.bytes();
}

function typeOf(value: unknown): GgufEntry["type"] {
  if (value instanceof Float32Array) return "array<f32>";
  if (value instanceof Int32Array) return "array<i32>";
  if (Array.isArray(value)) return "array<string>";
  if (typeof value === "string") return "string";
  return typeof value === "boolean" ? "bool" : "u32";
}
