import { describe, expect, it } from "vitest";
import { matricesFile, randomMatrices, smallConfig } from "../../tests/random-model.ts";
import { createReferenceDevice } from "../devices/reference/device.ts";
import { loadWeights } from "../model/load.ts";
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import { modelWeights } from "../model/weights.ts";
import { nodeFiles } from "../platform/node/file-system.ts";
import { createTokenizer } from "../tokenizer/create-tokenizer.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { chatFormat } from "./chat-format/detect.ts";
import { Engine } from "./engine.ts";
import { Model } from "./model.ts";

/** 48 tokens: unknown, bos, eos, and letters. */
const vocabulary: Vocabulary = {
  model: "llama",
  pieces: ["<unk>", "<s>", "</s>", "▁", ..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"],
  scores: new Float32Array(48),
  kinds: Uint8Array.from({ length: 48 }, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : 1)),
  merges: [],
  special: { unknown: 0, bos: 1, eos: 2 },
  addBos: true,
  addEos: false,
  addSpacePrefix: true,
  removeExtraWhitespaces: false,
  ignoreMerges: false,
  preTokenizer: "",
  patterns: [],
};

const template =
  "{% for m in messages %}{{ m.role[0] }} {{ m.content }} {% endfor %}{% if add_generation_prompt %}a {% endif %}";

async function openModel(
  contextLength = 128,
  seed = 21,
  hash = async () => "",
  sampling: RecommendedSampling = {},
): Promise<Model> {
  const device = createReferenceDevice();
  const weights = modelWeights(matricesFile(randomMatrices(smallConfig, seed, false)), smallConfig);
  const loaded = await loadWeights(device, smallConfig, weights);
  const tokenizer = createTokenizer(vocabulary);
  return new Model({
    name: "random",
    engine: new Engine(device, smallConfig, loaded, { contextLength }),
    tokenizer,
    sampling,
    chatFormat: () => chatFormat(template, tokenizer),
    hash,
    files: nodeFiles,
    openAdapter: async () => ({ name: "none", alpha: 1, matrices: new Map() }),
  });
}

const greedy = { temperature: 0, ignoreEnd: true } as const;

describe("Model", () => {
  it("samples as its maker recommends, unless the caller says otherwise", async () => {
    const model = await openModel(128, 21, async () => "", { temperature: 0 });
    const options = { ignoreEnd: true, maxTokens: 20, seed: 1 };
    const greedily = await (await openModel()).generate("hello", { ...options, temperature: 0 }).result();
    const hot = await (await openModel()).generate("hello", { ...options, temperature: 2 }).result();
    expect((await model.generate("hello", options).result()).ids).toEqual(greedily.ids);
    expect((await model.generate("hello", { ...options, temperature: 2 }).result()).ids).toEqual(hot.ids);
    expect(hot.ids).not.toEqual(greedily.ids);
  });

  it("gives the same text in pieces, as tokens and whole", async () => {
    const model = await openModel();
    const { text, ids, finishReason } = await model.generate("hello", { ...greedy, maxTokens: 20 }).result();
    expect(finishReason).toBe("length");
    expect(ids.length).toBe(20);
    let joined = "";
    for await (const piece of model.generate("hello", { ...greedy, maxTokens: 20 })) joined += piece;
    expect(joined).toBe(text);
    const generation = model.generate("hello", { ...greedy, maxTokens: 20, logProbabilities: 2 });
    const tokens = [];
    for await (const token of generation.tokens()) tokens.push(token);
    expect(tokens.map(({ id }) => id)).toEqual(ids);
    expect(tokens.every(({ alternatives }) => alternatives?.length === 2)).toBe(true);
    expect((await generation.result()).text).toBe(text);
  });

  it("lets concurrent answers take turns without mixing them", async () => {
    const model = await openModel();
    const prompts = ["one", "two", "three"];
    const alone = [];
    for (const prompt of prompts)
      alone.push((await model.generate(prompt, { ...greedy, maxTokens: 8 }).result()).text);
    const together = await Promise.all(
      prompts.map((p) => model.generate(p, { ...greedy, maxTokens: 8 }).result()),
    );
    expect(together.map(({ text }) => text)).toEqual(alone);
  });

  it("can be left early or aborted, and answers again", async () => {
    const model = await openModel();
    for await (const _ of model.generate("hello", greedy)) break;
    const controller = new AbortController();
    const generation = model.generate("hello", { ...greedy, signal: controller.signal });
    await expect(
      (async () => {
        for await (const _ of generation) controller.abort();
      })(),
    ).rejects.toMatchObject({ code: "aborted" });
    await expect(generation.result()).rejects.toMatchObject({ code: "aborted" });
    expect((await model.generate("hello", { ...greedy, maxTokens: 3 }).result()).ids.length).toBe(3);
  });

  it("keeps the caller's timers going while it computes", async () => {
    const model = await openModel();
    let beats = 0;
    const timer = setInterval(() => beats++, 1);
    await model.generate("hello", { ...greedy, maxTokens: 100 }).result();
    clearInterval(timer);
    expect(beats).toBeGreaterThan(3);
  });

  it("stops at the end-of-text token without showing it", async () => {
    const model = await openModel();
    const free = await model.generate("hello", { ...greedy, maxTokens: 60 }).result();
    const biased = { ...greedy, ignoreEnd: false, logitBias: { 2: 100 } };
    const ended = await model.generate("hello", biased).result();
    expect(ended).toMatchObject({ text: "", ids: [], finishReason: "stop" });
    expect(free.ids.length).toBe(60);
  });

  it("says in a chat which messages it left out", async () => {
    const model = await openModel(64);
    const long = (role: "user" | "assistant", letter: string) => ({ role, content: letter.repeat(18) });
    const messages = [long("user", "x"), long("assistant", "y"), long("user", "z")];
    const result = await model.chat(messages, { ...greedy, maxTokens: 10 }).result();
    expect(result.dropped).toEqual(messages.slice(0, 2));
    expect((await model.chat(messages.slice(2), { ...greedy, maxTokens: 10 }).result()).dropped).toEqual([]);
    const tooLong = { role: "user" as const, content: "w".repeat(80) };
    await expect(model.chat([tooLong], greedy).result()).rejects.toMatchObject({ code: "context-full" });
  });

  it("tells those who wait for their turn when it is disposed", async () => {
    const model = await openModel();
    const answer = model.generate("ab", { ...greedy, maxTokens: 20 })[Symbol.asyncIterator]();
    await answer.next();
    const waiting = [model.generate("cd", greedy).result(), model.useAdapters([]), model.embed(["ef"])];
    const ends = Promise.allSettled(waiting);
    model.dispose();
    for (const end of await ends)
      expect(end).toMatchObject({ status: "rejected", reason: { code: "disposed" } });
    await expect(model.generate("gh", greedy).result()).rejects.toMatchObject({ code: "disposed" });
  });

  it("takes its hash anew when that failed", async () => {
    let tries = 0;
    const model = await openModel(128, 21, async () => {
      if (tries++ === 0) throw new Error("the disk is away");
      return "hash";
    });
    await expect(model.hash()).rejects.toThrow("away");
    expect(await model.hash()).toBe("hash");
    expect(await model.hash()).toBe("hash");
    expect(tries).toBe(2);
  });

  it("refuses nonsense before it computes", async () => {
    const model = await openModel();
    await expect(model.generate("a", { maxTokens: -1 }).result()).rejects.toThrow(/maxTokens is -1/);
    await expect(model.generate("a", { stop: "b" as never }).result()).rejects.toThrow(
      /stop: expected a list/,
    );
    await expect(model.generate("a", { temperature: -1 }).result()).rejects.toMatchObject({
      code: "bad-input",
    });
    await expect(model.generate([], greedy).result()).rejects.toThrow(/no tokens/);
    await expect(model.generate([99], greedy).result()).rejects.toThrow(/token id 99/);
    const before = model.statistics.promptTokens;
    for (const prompt of [undefined, null, 5, Int32Array.of(3, 4), {}])
      await expect(model.generate(prompt as never, greedy).result()).rejects.toThrow(
        /prompt: expected a text/,
      );
    await expect(model.embed("a" as never)).rejects.toThrow(/embed: expected an array/);
    await expect(model.embed([5 as never])).rejects.toThrow(/prompt: expected a text/);
    for (const speculate of ["lookup", true, { draft: {} }])
      await expect(model.generate("a", { speculate: speculate as never }).result()).rejects.toThrow(
        /speculate: expected "prompt-lookup"/,
      );
    expect(model.statistics.promptTokens).toBe(before);
    model.dispose();
    await expect(model.generate("a", greedy).result()).rejects.toMatchObject({ code: "disposed" });
  });

  it("saves no session once it is disposed, not even an empty one", async () => {
    const model = await openModel();
    model.dispose();
    await expect(model.saveSession("/nowhere/kept.session")).rejects.toMatchObject({ code: "disposed" });
  });
});
