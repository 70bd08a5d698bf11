/** Guessing ahead: the ids are those of plain decoding, whatever is guessed and however it is sampled. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import { seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-speculative-"));
  await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function open(): Promise<Model> {
  const createDevice = () => createWasmDevice({ startThread, threadCount: 2 });
  return loadModel(join(folder, "tiny.gguf"), { files: nodeFiles, createDevice, hashFiles });
}

/** Prompts that repeat themselves, around the ends of pages. */
const next = seededNumbers(7);
const prompts = Array.from({ length: 24 }, (_, i) => {
  const part = Array.from({ length: 5 + (i % 6) }, () => 260 + Math.floor(((next() + 1) / 2) * 200));
  return [1, ...Array.from({ length: 45 + i }, (_, n) => part[n % part.length])];
});
const options = (i: number) => ({
  maxTokens: 90,
  ignoreEnd: true,
  seed: i,
  temperature: i % 3 === 0 ? 0 : 0.3 * (i % 3),
  topK: 1 + (i % 4),
});

describe("speculative decoding", () => {
  it("gives the ids and probabilities of plain decoding with prompt lookup", async () => {
    using plain = await open();
    using guessing = await open();
    let accepted = 0;
    let drafted = 0;
    for (const [i, prompt] of prompts.entries()) {
      const asked = { ...options(i), logProbabilities: 0 };
      const wanted = await plain.generate(prompt, asked).result();
      const got = await guessing.generate(prompt, { ...asked, speculate: "prompt-lookup" }).result();
      expect(got.ids).toEqual(wanted.ids);
      expect(got.logProbabilities).toEqual(wanted.logProbabilities);
      accepted += got.speculation?.accepted ?? 0;
      drafted += got.speculation?.drafted ?? 0;
    }
    // Both kinds of guesses were there: right ones, and wrong ones that had to leave the cache.
    expect(accepted).toBeGreaterThan(0);
    expect(drafted).toBeGreaterThan(accepted);
  }, 120_000);

  it("gives the same with a draft model, and takes nearly all of its guesses where it is the same model", async () => {
    using model = await open();
    using draft = await open();
    for (const i of [0, 3, 4, 5]) {
      const wanted = await model.generate(prompts[i], options(i)).result();
      const got = await model.generate(prompts[i], { ...options(i), speculate: { draft } }).result();
      expect(got.ids).toEqual(wanted.ids);
      const { drafted = 0, accepted = 0 } = got.speculation ?? {};
      expect(drafted).toBeGreaterThan(0);
      if (options(i).temperature === 0) expect(accepted).toBe(drafted);
    }
  }, 120_000);

  it("keeps no guesses in a session of an answer that was left", async () => {
    await writeTinyModel(join(folder, "other.gguf"), { contextLength: 512, seed: 2 });
    using model = await open();
    using draft = await loadModel(join(folder, "other.gguf"), {
      ...{ files: nodeFiles, createDevice: () => createWasmDevice({ startThread }), hashFiles },
    });
    const text = [1, ...prompts[0]];
    let left = 5;
    const asked = { temperature: 0, ignoreEnd: true, speculate: { draft } };
    for await (const { id } of model.generate([...text], asked).tokens()) {
      text.push(id);
      if (--left === 0) break;
    }
    await model.saveSession(join(folder, "left.session"));
    const kept = await model.restoreSession(join(folder, "left.session"));
    expect(kept).toEqual(text.slice(0, kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(text.length - 1);
  }, 60_000);

  it("refuses two models as each other's draft model, who would wait for each other", async () => {
    using first = await open();
    using second = await open();
    const ask = (model: Model, draft: Model) =>
      model.generate([1, 300], { maxTokens: 20, ignoreEnd: true, speculate: { draft } }).result();
    const both = await Promise.allSettled([ask(first, second), ask(second, first)]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    // Afterwards either way will do.
    await ask(second, first);
  }, 60_000);

  it("refuses a model as its own draft model", async () => {
    using model = await open();
    await expect(
      model.generate([1, 300], { maxTokens: 2, speculate: { draft: model } }).result(),
    ).rejects.toMatchObject({ code: "bad-input" });
    expect((await model.generate([1, 300], { maxTokens: 2, ignoreEnd: true }).result()).ids).toHaveLength(2);
  });
});
