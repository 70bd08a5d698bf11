/** Many answers at once: each has the text that it has alone, whoever comes, leaves or shares its beginning. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { Device } from "../../src/tensor/device.ts";
import { seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-batching-"));
  await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const devices: readonly [string, () => Device | Promise<Device>][] = [
  ["reference", createReferenceDevice],
  ["wasm with 2 threads", () => createWasmDevice({ startThread, threadCount: 2 })],
  // So little that the model's layers and its head lie in different ones.
  [
    "wasm in several memories",
    () => createWasmDevice({ startThread, threadCount: 2, memoryLimit: 800 << 10 }),
  ],
];

function open(createDevice: () => Device | Promise<Device>, sequences: number): Promise<Model> {
  return loadModel(join(folder, "tiny.gguf"), { files: nodeFiles, createDevice, hashFiles }, { sequences });
}

/** Prompts of different lengths, some of which begin alike for more than a page. */
function prompts(count: number): number[][] {
  const next = seededNumbers(5);
  const id = () => 260 + Math.floor(((next() + 1) / 2) * 200);
  const shared = [1, ...Array.from({ length: 150 }, id)];
  return Array.from({ length: count }, (_, i) => [
    ...(i % 3 === 0 ? shared : [1]),
    ...Array.from({ length: 1 + ((i * 13) % 40) }, id),
  ]);
}

const options = (i: number) => ({ maxTokens: 5 + (i % 7), seed: i, temperature: i % 2 === 0 ? 0 : 0.9 });

describe.each(devices)("%s", (name, createDevice) => {
  it("keeps what follows a beginning that texts share for part of a page", async () => {
    using model = await open(createDevice, 1);
    const next = seededNumbers(9);
    const id = () => 260 + Math.floor(((next() + 1) / 2) * 200);
    const shared = Array.from({ length: 40 }, id);
    const long = [1, ...shared, ...Array.from({ length: 200 }, id)];
    const short = [1, ...shared, ...Array.from({ length: 50 }, id)];
    const cached: number[] = [];
    const ids: (readonly number[])[] = [];
    for (const prompt of [long, short, long, short]) {
      const result = await model.generate(prompt, { maxTokens: 2, temperature: 0 }).result();
      cached.push(result.timings.cache_n);
      ids.push(result.ids);
    }
    expect(cached.slice(0, 2)).toEqual([0, 41]);
    expect(cached[2]).toBeGreaterThanOrEqual(192);
    expect(cached[3]).toBeGreaterThanOrEqual(64);
    expect(ids.slice(2)).toEqual(ids.slice(0, 2));
  }, 60_000);

  it("takes the page itself where there is no room for a copy", async () => {
    using model = await loadModel(
      join(folder, "tiny.gguf"),
      { files: nodeFiles, createDevice, hashFiles },
      { contextLength: 65 },
    );
    const shared = [1, ...Array.from({ length: 40 }, (_, i) => 300 + i)];
    const first = [...shared, ...new Array<number>(23).fill(280)];
    const second = [...shared, 290, 291];
    using alone = await open(createDevice, 1);
    const options = { maxTokens: 1, logProbabilities: 0, temperature: 0 };
    for (const prompt of [first, second, first, second]) {
      const { ids, logProbabilities } = await model.generate(prompt, options).result();
      const wanted = await alone.generate(prompt, { ...options, promptLogProbabilities: true }).result();
      expect({ ids, logProbabilities }).toEqual({
        ids: wanted.ids,
        logProbabilities: wanted.logProbabilities,
      });
    }
  }, 60_000);

  it("gives every one of many answers the ids that it has alone", async () => {
    using alone = await open(createDevice, 1);
    using together = await open(createDevice, 4);
    const list = prompts(10);
    const wanted: (readonly number[])[] = [];
    for (const [i, prompt] of list.entries())
      wanted.push((await alone.generate(prompt, options(i)).result()).ids);
    const results = await Promise.all(
      list.map((prompt, i) => together.generate(prompt, options(i)).result()),
    );
    expect(results.map(({ ids }) => ids)).toEqual(wanted);
    const { steps, decodedTokens, running, waiting } = together.statistics;
    expect({ running, waiting }).toEqual({ running: 0, waiting: 0 });
    // Steps are shared, or there would be one for each token. The reference device takes 8 rows a step, so prompts need many.
    if (name !== "reference") expect(steps).toBeLessThan(decodedTokens);
  }, 120_000);

  it("lets answers be cut off at any moment without harm to the others", async () => {
    using alone = await open(createDevice, 1);
    using together = await open(createDevice, 3);
    const list = prompts(9);
    const next = seededNumbers(8);
    await Promise.all(
      list.map(async (prompt, i) => {
        const wanted = (await alone.generate(prompt, options(i)).result()).ids;
        const controller = new AbortController();
        const limit = Math.floor(((next() + 1) / 2) * 6);
        let made = 0;
        try {
          for await (const { id } of together
            .generate(prompt, { ...options(i), signal: controller.signal })
            .tokens()) {
            expect(id).toBe(wanted[made++]);
            if (made === limit && i % 3 === 1) controller.abort();
            if (made === limit && i % 3 === 2) break;
          }
        } catch (error) {
          expect(error).toMatchObject({ code: "aborted" });
        }
      }),
    );
    const { running, waiting, usedPages } = together.statistics;
    expect({ running, waiting }).toEqual({ running: 0, waiting: 0 });
    expect(usedPages).toBeLessThanOrEqual(3 * 8);
    const after = await together.generate(list[0], options(0)).result();
    expect(after.ids).toEqual((await alone.generate(list[0], options(0)).result()).ids);
  }, 120_000);
});

it("takes the pages of an earlier prompt, and computes the same from them", async () => {
  using model = await open(createReferenceDevice, 2);
  const [first, , , second] = prompts(4);
  const own = await model.generate(first, { maxTokens: 4, temperature: 0 }).result();
  // Another sequence, and yet the shared 151 tokens are known: two whole pages of 64, and what begins the third.
  const running = model.generate(first, { maxTokens: 4, temperature: 0 }).tokens();
  await running.next();
  const other = await model.generate(second, { maxTokens: 4, temperature: 0 }).result();
  expect(other.timings.cache_n).toBe(151);
  for await (const _ of running);
  using fresh = await open(createReferenceDevice, 1);
  expect(other.ids).toEqual((await fresh.generate(second, { maxTokens: 4, temperature: 0 }).result()).ids);
  expect(own.ids).toEqual((await fresh.generate(first, { maxTokens: 4, temperature: 0 }).result()).ids);
});

it("forgets the longest unused pages when it needs room", async () => {
  using model = await open(createReferenceDevice, 1);
  const long = Array.from({ length: 12 }, (_, i) => [
    1,
    ...Array.from({ length: 200 }, (_, k) => 260 + ((i * 31 + k * 7) % 200)),
  ]);
  for (const prompt of long) await model.generate(prompt, { maxTokens: 1, temperature: 0 }).result();
  const again = await model.generate(long[11], { maxTokens: 1, temperature: 0 }).result();
  const oldest = await model.generate(long[0], { maxTokens: 1, temperature: 0 }).result();
  expect(again.timings.cache_n).toBe(200);
  // No page of it: at most the beginning-of-text token that all share.
  expect(oldest.timings.cache_n).toBeLessThanOrEqual(1);
});

it("embeds texts as vectors of unit length, the same among others as alone", async () => {
  using model = await open(createReferenceDevice, 3);
  const list = prompts(4);
  const together = await model.embed(list);
  for (const [i, vector] of together.entries()) {
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(await model.embed([list[i]])).toEqual([vector]);
  }
  expect(together[0]).not.toEqual(together[1]);
  await expect(model.embed([[]])).rejects.toThrow(/no tokens/);
});

it("copies the beginning of a page, whoever fills it, and leaves that one as it was", async () => {
  for (const [, createDevice] of devices) {
    using model = await open(createDevice, 3);
    using fresh = await open(createDevice, 1);
    const shared = [1, ...Array.from({ length: 99 }, (_, i) => 260 + ((i * 37) % 190))];
    // The first 100 tokens are the same: a page, and 36 tokens of one that both others share with it and then go on in.
    const list = [300, 301, 302].map((id) => [...shared, id, id + 7, id + 20]);
    const running = model.generate(list[0], { maxTokens: 60, temperature: 0, ignoreEnd: true });
    const tokens = running.tokens();
    await tokens.next();
    const others = await Promise.all(
      list.slice(1).map((prompt) => model.generate(prompt, { maxTokens: 8, temperature: 0 }).result()),
    );
    for await (const _ of tokens);
    const results = [await running.result(), ...others];
    expect(others.map(({ timings }) => timings.cache_n)).toEqual([100, 100]);
    for (const [i, prompt] of list.entries()) {
      const wanted = { maxTokens: i === 0 ? 60 : 8, temperature: 0, ignoreEnd: i === 0 };
      expect(results[i].ids).toEqual((await fresh.generate(prompt, wanted).result()).ids);
    }
  }
});
