/**
 * SmolLM2-135M-Instruct, a real chat model in Q4_1 and Q8_0, against llama.cpp on the same file: greedy ids of ten
 * prompts, and the perplexity of a text.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { perplexity } from "../../src/evaluate/perplexity.ts";
import type { Model } from "../../src/generate/model.ts";
import { convertModel } from "../../src/model/convert.ts";
import { load } from "../../src/node.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { dataFile } from "../data.ts";
import { fixture } from "../fixtures-path.ts";
import { type LlamaCpp, llamaCppIsInstalled, startLlamaCpp } from "./llama-cpp-client.ts";

const path = fixture("SmolLM2-135M-Instruct.Q4_1.gguf");
const text = dataFile("text/wikitext-2/valid.txt");

/** Prompts whose answers llama.cpp is nearly always sure of, on every kind of processor. */
const steadyPrompts = [
  "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,",
  "10, 20, 30, 40, 50, 60,",
  "100, 99, 98, 97, 96, 95,",
  "2, 4, 6, 8, 10, 12, 14,",
  "0 1 1 2 3 5 8 13",
  "1900, 1901, 1902, 1903, 1904,",
  "A, B, C, D, E, F, G, H, I, J, K,",
  "Chapter 1\nChapter 2\nChapter 3\n",
  "Day 1\nDay 2\nDay 3\nDay 4\n",
  "Q: What is 12 times 12?\nA:",
];

const question = [{ role: "user", content: "What is the capital of France?" }] as const;

/** Prompts with near ties on the way, at which llama.cpp parts from itself when flash attention is switched on. */
const openPrompts = [
  "The capital of France is",
  "Once upon a time, in a village by the sea,",
  "To make a good cup of tea, you first",
  "def fibonacci(n):\n",
  "Water boils at a temperature of",
  "Dear Sir or Madam,\n\nI am writing to",
  "The three primary colours are",
  "Photosynthesis is the process by which",
  "In 1969, the first humans",
  "We hold these truths to be self-evident,",
];

describe.skipIf(!path || !llamaCppIsInstalled())("SmolLM2-135M-Instruct", () => {
  let model: Model;
  let oracle: LlamaCpp;
  beforeAll(async () => {
    model = await load(path as string, { contextLength: 1024, chatTemplate: "chatml" });
    oracle = (await startLlamaCpp(path as string)) as LlamaCpp;
  });
  afterAll(async () => {
    model.dispose();
    await oracle.close();
  });

  it("knows the capital of France, from the ids that ChatML makes", async () => {
    const answer = await model.chat(question, { temperature: 0, maxTokens: 30 }).result();
    expect(answer.promptIds).toEqual([
      1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
    ]);
    expect(answer.ids).toEqual([504, 3575, 282, 4649, 314, 7042, 30]);
    expect(answer).toMatchObject({ text: "The capital of France is Paris.", finishReason: "stop" });
  });

  it("with the system prompt of its own template begins as llama.cpp does, or at a near tie", async () => {
    using own = await load(path as string, { contextLength: 256 });
    const answer = await own.chat(question, { temperature: 0, maxTokens: 8 }).result();
    expect(own.tokenizer.decode(answer.promptIds, { showSpecial: true })).toBe(
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    );
    await compareGreedy(own, oracle, answer.promptIds);
  });

  it.each(steadyPrompts)("greedy ids equal llama.cpp's up to a near tie: %j", async (prompt) => {
    await compareGreedy(model, oracle, model.tokenizer.encode(prompt));
  });

  it.each(openPrompts)("agrees with llama.cpp up to the noise of int8 activations: %j", async (prompt) => {
    const start = model.tokenizer.encode(prompt);
    const theirs = await oracle.request({ method: "greedy", ids: start, count: 64, ignoreEnd: true });
    const ids = [...start, ...theirs.ids];
    const { promptLogProbabilities: ours = [] } = await model
      .generate(ids, { maxTokens: 0, promptLogProbabilities: true })
      .result();
    const differences = (await oracle.request({ method: "likelihood", ids })).map(
      (value, i) => -ours[i + 1] - value,
    );
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    const spread = Math.sqrt(differences.reduce((sum, value) => sum + value * value, 0) / differences.length);
    // llama.cpp against itself, with and without flash attention: a spread of 0.03 to 0.08; ours against it 0.06 to 0.17
    // (docs/log.md). A wrong op gives more than 1.
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(spread).toBeLessThan(0.25);
    await compareGreedy(model, oracle, start);
  });

  // Int8 rounding decorrelates two right implementations: −ln p of a token differs by 0.09 (docs/log.md), so that the
  // mean over the 2,500 tokens scored has a standard deviation of 0.2 %. This is three of them.
  it.skipIf(!text)("the perplexity of 20 kB is llama.cpp's within 0.6 %", async () => {
    await comparePerplexity(model, oracle, 0.006);
  });

  it.skipIf(!text)(
    "with the same weights as F16, where no int8 rounding is, it is llama.cpp's within 0.1 %, and greedy ids are the same",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "cria-oracle-"));
      try {
        const file = join(folder, "f16.gguf");
        await convertModel(path as string, file, nodeFiles, { type: "f16" });
        using floats = await load(file, { contextLength: 512 });
        await using reference = (await startLlamaCpp(file)) as LlamaCpp;
        await comparePerplexity(floats, reference, 0.001);
        for (const prompt of steadyPrompts.slice(0, 4))
          expect(await compareGreedy(floats, reference, floats.tokenizer.encode(prompt))).toBe(64);
        // "The" is 0.09 above "L'Étoile" in logits: int8 activations, ours and llama.cpp's, turn that over.
        const answer = await floats.chat(question, { temperature: 0, maxTokens: 30 }).result();
        expect(answer.text).toBe("The capital of France is Paris.");
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
});

/**
 * Expects 64 greedy ids to be llama.cpp's, or its own logits of the two tokens to be nearly the same where they part:
 * llama.cpp itself chooses differently there on another processor, or with flash attention. Returns how many were equal.
 */
async function compareGreedy(model: Model, oracle: LlamaCpp, start: readonly number[]): Promise<number> {
  const options = { temperature: 0, maxTokens: 64, ignoreEnd: true };
  const ours = await model.generate(start, options).result();
  const theirs = await oracle.request({ method: "greedy", ids: start, count: 64, ignoreEnd: true });
  const at = ours.ids.findIndex((id, i) => id !== theirs.ids[i]);
  if (at < 0) return ours.ids.length;
  const prefix = [...start, ...theirs.ids.slice(0, at)];
  const [logits] = await oracle.request({ method: "logits", ids: prefix, positions: [prefix.length - 1] });
  expect(logits[theirs.ids[at]] - logits[ours.ids[at]]).toBeLessThan(0.5);
  return at;
}

async function comparePerplexity(model: Model, oracle: LlamaCpp, tolerance: number): Promise<void> {
  const sample = (await readFile(text as string, "utf8")).slice(0, 20_000);
  const ours = await perplexity(model, sample, { chunkLength: 512 });
  const request = { method: "perplexity", text: sample, contextSize: 512, chunkCount: 1000 } as const;
  const theirs = await oracle.request(request);
  console.log(`perplexity of 20 kB: ours ${ours.perplexity}, llama.cpp's ${theirs.perplexity}`);
  expect(ours.tokenCount).toBe(theirs.scoredCount);
  expect(Math.abs(ours.perplexity / theirs.perplexity - 1)).toBeLessThan(tolerance);
}
