/** Adapters: their gradients, their files, and that merged weights compute what adapters beside weights do. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { type AdapterContents, mergedWeights, openAdapter, writeAdapter } from "../../src/model/adapter.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { modelWeights } from "../../src/model/weights.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { trainedAdapter } from "../../src/train/lora.ts";
import type { LoraSettings } from "../../src/train/recipe.ts";
import { openSession, type Session } from "../../src/train/session.ts";
import { memoryFiles } from "../memory-files.ts";
import { smallConfig as config, matricesFile, randomMatrices, seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { randomBatch } from "./random-batch.ts";

const shape = { windows: 2, length: 8 };
const weights = modelWeights(matricesFile(randomMatrices(config, 3, false)), config);
const lora: LoraSettings = {
  rank: 3,
  alpha: 6,
  dropout: 0,
  targets: ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
};
const batch = randomBatch(2, 8, config.vocabularySize, 21);
const seeds = batch.weights.map((weight) => -weight / 16);

async function open(
  settings: LoraSettings | undefined,
  base = weights,
  checkpoint = false,
): Promise<Session> {
  return openSession(createReferenceDevice(), {
    config,
    tied: false,
    weights: base,
    ...(settings ? { lora: settings } : {}),
    shape: { ...shape, checkpoint },
    adamW: {},
    seed: 1,
  });
}

/** B away from 0, so that A has a gradient too. */
async function scatter({ store }: Session): Promise<void> {
  const next = seededNumbers(4);
  for (const name of store.names)
    store.write(
      name,
      (await store.read(name)).map((value) => value + 0.2 * next()),
    );
}

async function scattered(): Promise<{ session: Session; adapter: AdapterContents }> {
  const session = await open(lora);
  await scatter(session);
  return { session, adapter: await trainedAdapter(session.store, "test", lora) };
}

it("starts as the base", async () => {
  const [plain, adapted] = [await open(undefined), await open({ ...lora, dropout: 0.3 })];
  const wanted = await plain.pass.forward(batch);
  (await adapted.pass.forward(batch, 5)).forEach((value, t) => {
    expect(value).toBeCloseTo(wanted[t], 5);
  });
});

describe.each([
  { dropout: 0, checkpoint: false },
  { dropout: 0.25, checkpoint: false },
  { dropout: 0.25, checkpoint: true },
])("dropout $dropout, checkpointing $checkpoint", ({ dropout, checkpoint }) => {
  it("has the gradients that finite differences have", async () => {
    const { store, pass } = await open({ ...lora, dropout }, weights, checkpoint);
    await scatter({ store } as Session);
    await pass.run(batch, seeds, 77);
    const loss = async () =>
      (await pass.forward(batch, 77)).reduce((sum, value, t) => sum + value * seeds[t], 0);
    for (const name of store.names) {
      const [gradient, values] = [await store.read(name, "gradient"), await store.read(name)];
      const size = Math.hypot(...gradient);
      const along = (step: number) => values.map((value, i) => value + (step * gradient[i]) / size);
      const slope = async (step: number) => {
        store.write(name, along(step));
        const above = await loss();
        store.write(name, along(-step));
        return (above - (await loss())) / (2 * step);
      };
      const measured = (4 * (await slope(0.01)) - (await slope(0.02))) / 3;
      store.write(name, values);
      expect(Math.abs(measured - size) / size, name).toBeLessThan(2e-3);
    }
  });
});

it("merged into the weights it computes the same", async () => {
  const { session, adapter } = await scattered();
  const merged = await open(undefined, mergedWeights(weights, adapter));
  const wanted = await merged.pass.forward(batch);
  (await session.pass.forward(batch)).forEach((value, t) => {
    expect(value).toBeCloseTo(wanted[t], 4);
  });
});

it.each(["adapter.gguf", "folder/adapter"])("comes back from %s", async (path) => {
  const { adapter } = await scattered();
  const files = memoryFiles();
  await writeAdapter(adapter, path, { config, name: "base" }, files);
  const back = await openAdapter(path, config, files);
  expect(back.alpha).toBe(adapter.alpha);
  expect([...back.matrices.keys()].sort()).toEqual([...adapter.matrices.keys()].sort());
  for (const [name, matrices] of adapter.matrices) expect(back.matrices.get(name), name).toEqual(matrices);
});

it("computes what PEFT computes with an adapter that PEFT wrote", async () => {
  const fixtures = join(import.meta.dirname, "..", "fixtures", "peft");
  const { ids, logProbabilities } = JSON.parse(await readFile(join(fixtures, "expected.json"), "utf8")) as {
    ids: number[];
    logProbabilities: number[];
  };
  const folder = await mkdtemp(join(tmpdir(), "cria-peft-"));
  try {
    const base = join(folder, "tiny.gguf");
    await writeTinyModel(base);
    const checkpoint = await openCheckpoint(base, nodeFiles);
    const adapter = await openAdapter(fixtures, checkpoint.config, nodeFiles);
    const length = ids.length - 1;
    const session = await openSession(createReferenceDevice(), {
      config: checkpoint.config,
      ...{ tied: false, shape: { windows: 1, length }, adamW: {}, seed: 1 },
      weights: mergedWeights(checkpoint.weights, adapter),
    });
    const ours = await session.pass.forward({
      ...{
        rows: 1,
        length,
        tokens: Int32Array.from(ids.slice(0, -1)),
        targets: Int32Array.from(ids.slice(1)),
      },
      positions: Int32Array.from({ length }, (_, t) => t),
      starts: new Int32Array(length),
      weights: new Float32Array(length).fill(1),
    });
    expect(logProbabilities).toHaveLength(length);
    ours.forEach((value, t) => {
      expect(value, `token ${t}`).toBeCloseTo(logProbabilities[t], 4);
    });
    await checkpoint.file.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("refuses adapters of another shape or kind", async () => {
  const { adapter } = await scattered();
  const files = memoryFiles();
  await writeAdapter(adapter, "adapter.gguf", { config, name: "base" }, files);
  await expect(openAdapter("adapter.gguf", { ...config, width: 64 }, files)).rejects.toThrow(/another model/);
  await writeAdapter(adapter, "peft", { config, name: "base" }, files);
  const settings = JSON.parse(new TextDecoder().decode(files.contents.get("peft/adapter_config.json")));
  files.contents.set(
    "peft/adapter_config.json",
    new TextEncoder().encode(JSON.stringify({ ...settings, use_dora: true })),
  );
  await expect(openAdapter("peft", config, files)).rejects.toThrow(/use_dora/);
});

it("learns preferences: the chosen answer wins over the rejected one", async () => {
  const { preferenceStep, windowSums } = await import("../../src/train/preference-loss.ts");
  const session = await openSession(createReferenceDevice(), {
    ...{ config, tied: false, weights, lora, reference: true, shape, adamW: { weightDecay: 0 }, seed: 1 },
  });
  const base = windowSums(batch, await (session.reference as Session["pass"]).forward(batch));
  const references = [{ chosen: base[0], rejected: base[1] }];
  const losses: number[] = [];
  for (let step = 1; step <= 15; step++) {
    session.optimizer.clear();
    const sum = await preferenceStep(session.pass, batch, references, 0.1, { pairCount: 1, dropoutSeed: 0 });
    losses.push(sum.total);
    if (step === 1) expect(sum.total).toBeCloseTo(Math.log(2), 5);
    await session.optimizer.step(step, 0.01);
  }
  expect(losses.at(-1)).toBeLessThan(0.3);
});

it("measures preferences alike when a batch is filled up with empty windows", async () => {
  const { preferenceStep } = await import("../../src/train/preference-loss.ts");
  const { session } = await scattered();
  const wide = await openSession(createReferenceDevice(), {
    ...{ config, tied: false, weights, lora, adamW: {}, seed: 1 },
    shape: { ...shape, windows: 6 },
  });
  await scatter(wide);
  const grown = (values: Int32Array | Float32Array) => [...values, ...new Array<number>(4 * 8).fill(0)];
  const filled = {
    ...{
      rows: 6,
      length: 8,
      starts: Int32Array.from(grown(batch.starts), (start, t) => (t < 16 ? start : t)),
    },
    tokens: Int32Array.from(grown(batch.tokens)),
    targets: Int32Array.from(grown(batch.targets)),
    positions: Int32Array.from(grown(batch.positions)),
    weights: Float32Array.from(grown(batch.weights)),
  };
  const references = [{ chosen: -20, rejected: -30 }];
  const empty = { chosen: 0, rejected: 0 };
  const wanted = await preferenceStep(session.pass, batch, references, 0.1, undefined);
  const figures = await preferenceStep(wide.pass, filled, [...references, empty, empty], 0.1, undefined);
  expect(wanted.counted).toBe(1);
  for (const [name, value] of Object.entries(wanted))
    expect(figures[name as keyof typeof figures], name).toBeCloseTo(value, 5);
});

it("validates without dropout", async () => {
  const { session } = await scattered();
  const dropping = await open({ ...lora, dropout: 0.5 });
  await scatter(dropping);
  const wanted = await session.pass.forward(batch);
  expect(await dropping.pass.forward(batch, 1)).not.toEqual(wanted);
  (await dropping.evaluation.forward(batch)).forEach((value, t) => {
    expect(value).toBeCloseTo(wanted[t], 5);
  });
  // And with the weights of the last step.
  await scatter(session);
  await scatter(dropping);
  const later = await session.pass.forward(batch);
  expect((await dropping.evaluation.forward(batch))[0]).toBeCloseTo(later[0], 5);
  expect(later[0]).not.toBeCloseTo(wanted[0], 3);
});

it("overfits one batch", async () => {
  const session = await open(undefined);
  const one = { ...batch, weights: new Float32Array(16).fill(1) };
  // One target for each token: what can be learned by heart.
  one.targets = one.tokens.map((id) => (id * 7 + 3) % config.vocabularySize);
  let loss = Number.POSITIVE_INFINITY;
  for (let step = 1; step <= 120 && loss > 1e-3; step++) {
    session.optimizer.clear();
    const sums = await session.pass.run(one, new Float32Array(16).fill(-1 / 16));
    loss = -sums.reduce((sum, value) => sum + value, 0) / 16;
    await session.optimizer.step(step, 0.01);
  }
  expect(loss).toBeLessThan(1e-2);
});
