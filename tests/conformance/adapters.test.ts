/** Adapters beside a loaded model: what merged weights compute, swapped while the model lives. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { type AdapterMatrices, writeAdapter } from "../../src/model/adapter.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { convertModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import { CriaError } from "../../src/shared/errors.ts";
import type { Device } from "../../src/tensor/device.ts";
import type { Memory } from "../../src/tensor/tensor.ts";
import { targetShape } from "../../src/train/lora.ts";
import { seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";

let folder = "";
const at = (name: string) => join(folder, name);
const targets = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-adapters-"));
  await writeTinyModel(at("tiny.gguf"));
  const { config, file } = await openCheckpoint(at("tiny.gguf"), nodeFiles);
  await file.close();
  for (const [name, seed, largest] of [
    ["first", 3, 2],
    ["second", 4, 5],
  ] as const) {
    const next = seededNumbers(seed);
    const values = (length: number) => Float32Array.from({ length }, () => 0.3 * next());
    const matrices = new Map<string, AdapterMatrices>();
    for (const [index, target] of targets.entries()) {
      const { inputs, outputs } = targetShape(config, target);
      // The second one's matrices differ in rank, so each has a scale of its own.
      const rank = name === "second" ? largest - (index % 3) : largest;
      matrices.set(`blk.1.${target}.weight`, { a: values(rank * inputs), b: values(outputs * rank), rank });
    }
    await writeAdapter({ name, alpha: 4, matrices }, at(`${name}.gguf`), { config, name: "tiny" }, nodeFiles);
    await convertModel(at("tiny.gguf"), at(`${name}-merged.gguf`), nodeFiles, {
      type: "f32",
      adapters: [at(`${name}.gguf`)],
    });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ids = [1, ...Array.from({ length: 90 }, (_, i) => 260 + ((i * 37) % 200))];

async function likelihoods(model: Model): Promise<readonly number[]> {
  const { promptLogProbabilities = [] } = await model
    .generate(ids, { maxTokens: 1, promptLogProbabilities: true })
    .result();
  return promptLogProbabilities.slice(1);
}

const distance = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i])));

it.each([
  ["reference", createReferenceDevice],
  ["wasm", () => createWasmDevice({ startThread, threadCount: 2 })],
  [
    "wasm in several memories",
    () => createWasmDevice({ startThread, threadCount: 2, memoryLimit: 800 << 10 }),
  ],
] as readonly [string, () => Device | Promise<Device>][])(
  "%s: equals merged weights, and can be swapped",
  async (_, createDevice) => {
    const platform = { files: nodeFiles, createDevice, hashFiles };
    const merged = async (name: string) => {
      using model = await loadModel(at(`${name}.gguf`), platform);
      return await likelihoods(model);
    };
    const [base, first, second] = [
      await merged("tiny"),
      await merged("first-merged"),
      await merged("second-merged"),
    ];
    expect(distance(base, first)).toBeGreaterThan(0.1);
    using model = await loadModel(at("tiny.gguf"), platform, { sequences: 2 });
    for (const name of ["first", "second"]) await model.loadAdapter(at(`${name}.gguf`));
    expect(model.adapters).toEqual(["first", "second"]);
    await model.useAdapters([{ name: "first" }]);
    expect(distance(await likelihoods(model), first)).toBeLessThan(1e-3);
    await model.useAdapters([{ name: "second" }]);
    expect(distance(await likelihoods(model), second)).toBeLessThan(1e-3);
    // What was computed with an adapter is not taken for the base's, whichever way it was computed.
    await model.embed([ids]);
    await model.useAdapters([]);
    expect((await model.generate(ids, { maxTokens: 1, temperature: 0 }).result()).timings.cache_n).toBe(0);
    await model.useAdapters([{ name: "second" }]);
    const greedy = { maxTokens: 8, temperature: 0 } as const;
    await model.generate(ids, greedy).result();
    await model.useAdapters([]);
    // Only the page that the base computed itself is known.
    expect((await model.generate(ids, greedy).result()).timings.cache_n).toBe(64);
    expect(distance(await likelihoods(model), base)).toBe(0);
    await model.useAdapters([{ name: "first", scale: 0 }]);
    expect(distance(await likelihoods(model), base)).toBeLessThan(1e-5);
    await expect(model.useAdapters([{ name: "third" }])).rejects.toMatchObject({ code: "not-found" });
  },
);

/** A device that counts the memories it has given out. */
function countingDevice(): { readonly device: Device; readonly live: Set<Memory>; refuses: boolean } {
  const device = createReferenceDevice();
  const live = new Set<Memory>();
  const counting = { device, live, refuses: false };
  const { allocate, free } = device;
  device.allocate = (byteLength) => {
    if (counting.refuses) throw new CriaError("no-memory", "refused by the test");
    const memory = allocate.call(device, byteLength);
    live.add(memory);
    return memory;
  };
  device.free = (memory) => {
    live.delete(memory);
    free.call(device, memory);
  };
  return counting;
}

it("a change of adapters that fails leaves those before in use, and takes no memory", async () => {
  const counting = countingDevice();
  const { device, live } = counting;
  using model = await loadModel(at("tiny.gguf"), { files: nodeFiles, createDevice: () => device, hashFiles });
  for (const name of ["first", "second"]) await model.loadAdapter(at(`${name}.gguf`));
  await model.useAdapters([{ name: "first" }]);
  const wanted = await likelihoods(model);
  const before = live.size;
  await expect(model.useAdapters([{ name: "second" }, { name: "third" }])).rejects.toThrow("third");
  expect(live.size).toBe(before);
  counting.refuses = true;
  await expect(model.useAdapters([{ name: "second" }])).rejects.toMatchObject({ code: "no-memory" });
  counting.refuses = false;
  expect(live.size).toBe(before);
  expect(distance(await likelihoods(model), wanted)).toBe(0);
});

it("changes of adapters that are asked for at once follow each other", async () => {
  const platform = { files: nodeFiles, createDevice: createReferenceDevice, hashFiles };
  using model = await loadModel(at("tiny.gguf"), platform, { sequences: 2 });
  const base = await likelihoods(model);
  await model.loadAdapter(at("first.gguf"));
  await Promise.all([model.useAdapters([{ name: "first" }]), model.useAdapters([])]);
  expect(distance(await likelihoods(model), base)).toBe(0);
});

it("a change of adapters leaves the last text the last one, which a session then holds", async () => {
  const platform = { files: nodeFiles, createDevice: createReferenceDevice, hashFiles };
  using model = await loadModel(at("tiny.gguf"), platform, { sequences: 3 });
  await model.generate(ids, { maxTokens: 1 }).result();
  await model.useAdapters([]);
  expect(await model.saveSession(at("last.session"))).toBe(ids.length);
});

it("a session of an adapter is not taken up under another one of the same name", async () => {
  const platform = { files: nodeFiles, createDevice: createReferenceDevice, hashFiles };
  const withAdapter = async (file: string): Promise<Model> => {
    const model = await loadModel(at("tiny.gguf"), platform);
    await model.loadAdapter(at(file), { name: "mine" });
    await model.useAdapters([{ name: "mine" }]);
    return model;
  };
  using before = await withAdapter("first.gguf");
  await likelihoods(before);
  await before.saveSession(at("mine.session"));
  using same = await withAdapter("first.gguf");
  expect((await same.restoreSession(at("mine.session"))).length).toBeGreaterThanOrEqual(ids.length);
  using trainedAgain = await withAdapter("second.gguf");
  await expect(trainedAgain.restoreSession(at("mine.session"))).rejects.toMatchObject({ code: "bad-input" });
});
