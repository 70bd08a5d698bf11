/** The oracle itself: answers known from elsewhere, agreement between its methods, and clean failures. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../fixtures-path.ts";
import { type LlamaCpp, llamaCppIsInstalled, startLlamaCpp } from "./llama-cpp-client.ts";

const path = fixture("SmolLM2-135M-Instruct.Q4_1.gguf");
const question = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n";

describe("llama.cpp with SmolLM2", () => {
  let oracle: LlamaCpp | undefined;
  beforeAll(async () => {
    if (path) oracle = await startLlamaCpp(path, { contextSize: 256 });
  });
  afterAll(() => oracle?.close());

  test("tokenizes a question and answers it", async ({ skip }) => {
    if (!oracle) return skip("no fixture or no llama.cpp");
    const [ids = []] = await oracle.request({
      method: "tokenize",
      texts: [question],
      parseSpecial: true,
      addSpecial: true,
    });
    expect(ids).toEqual([1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]);
    const answer = await oracle.request({ method: "greedy", ids, count: 20, ignoreEnd: false });
    expect(answer).toEqual({
      ids: [504, 3575, 282, 4649, 314, 7042, 30],
      text: "The capital of France is Paris.",
    });
    expect(
      await oracle.request({ method: "detokenize", ids: [[...ids, ...answer.ids]], showSpecial: true }),
    ).toEqual([`${question}The capital of France is Paris.`]);
  });

  test("gives logits whose softmax is the likelihood, and whose largest is the greedy token", async ({
    skip,
  }) => {
    if (!oracle) return skip("no fixture or no llama.cpp");
    const ids = [504, 3575, 282, 4649, 314, 7042];
    const likelihoods = await oracle.request({ method: "likelihood", ids });
    const rows = await oracle.request({ method: "logits", ids, positions: [0, 4, 5] });
    expect(likelihoods).toHaveLength(5);
    expect(negativeLogLikelihood(rows[0] ?? [], 3575)).toBeCloseTo(likelihoods[0] ?? Number.NaN, 3);
    expect(negativeLogLikelihood(rows[1] ?? [], 7042)).toBeCloseTo(likelihoods[4] ?? Number.NaN, 3);
    const greedy = await oracle.request({ method: "greedy", ids, count: 1, ignoreEnd: true });
    const last = rows[2] ?? [];
    expect(greedy.ids).toEqual([last.indexOf(last.reduce((a, b) => Math.max(a, b)))]);
  });

  test("scores the second half of each chunk", async ({ skip }) => {
    if (!oracle) return skip("no fixture or no llama.cpp");
    const text = "The cat sat on the mat and looked at the moon. ".repeat(8);
    const scored = await oracle.request({ method: "perplexity", text, contextSize: 32, chunkCount: 2 });
    const [ids = []] = await oracle.request({
      method: "tokenize",
      texts: [text],
      parseSpecial: false,
      addSpecial: true,
    });
    // SmolLM2 adds no beginning-of-text id, so the chunks are the text's own ids.
    const first = await oracle.request({ method: "likelihood", ids: ids.slice(0, 32) });
    const second = await oracle.request({ method: "likelihood", ids: ids.slice(32, 64) });
    const values = [...first.slice(16), ...second.slice(16)];
    expect(scored).toMatchObject({ chunkCount: 2, scoredCount: 30 });
    expect(values).toHaveLength(30);
    expect(Math.log(scored.perplexity)).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / 30, 5);
  });

  test("refuses what it cannot do and goes on", async ({ skip }) => {
    if (!oracle) return skip("no fixture or no llama.cpp");
    const tooLong = oracle.request({ method: "greedy", ids: [1], count: 5000, ignoreEnd: true });
    await expect(tooLong).rejects.toThrow("do not fit in a context of 256");
    await expect(oracle.request({ method: "likelihood", ids: [1, 50_000] })).rejects.toThrow("got 50000");
    expect(await oracle.request({ method: "detokenize", ids: [[504]], showSpecial: false })).toEqual(["The"]);
  });
});

test("a file that is no model fails with its reason", async ({ skip }) => {
  if (!llamaCppIsInstalled()) return skip("no llama.cpp");
  await expect(startLlamaCpp(fileURLToPath(import.meta.url))).rejects.toThrow(/llama\.cpp: .*gguf/i);
});

function negativeLogLikelihood(row: number[], id: number): number {
  const largest = row.reduce((a, b) => Math.max(a, b));
  const weight = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return Math.log(weight) - ((row[id] ?? Number.NaN) - largest);
}
