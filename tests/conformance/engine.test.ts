/** The engine against a forward pass that shares no code with it, in every way that a step can be cut. */
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { Engine, type Sequence } from "../../src/generate/engine.ts";
import type { CacheFormat } from "../../src/model/cache-format.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { loadWeights } from "../../src/model/load.ts";
import { modelWeights } from "../../src/model/weights.ts";
import {
  matricesFile,
  naiveLogits,
  randomMatrices,
  smallConfig,
  toEightBits,
  wideConfig,
} from "../random-model.ts";

async function openEngine(
  config: ModelConfig,
  seed: number,
  tied: boolean,
  sequenceCount = 1,
  cacheFormat: CacheFormat = "F16",
) {
  const matrices = randomMatrices(config, seed, tied);
  const device = createReferenceDevice();
  const weights = await loadWeights(device, config, modelWeights(matricesFile(matrices), config));
  const options = { contextLength: 160, sequenceCount, cacheFormat };
  return { matrices, engine: new Engine(device, config, weights, options) };
}

async function allLogits(sequence: Sequence, ids: readonly number[]): Promise<number[][]> {
  const rows: number[][] = [];
  await sequence.append(ids, "all", { onLogits: (logits) => rows.push([...logits]) });
  return rows;
}

/** Ids that visit the whole vocabulary and pass a page border. */
const ids = Array.from({ length: 70 }, (_, i) => (i * 29 + 7) % smallConfig.vocabularySize);

/** By default, where a key lies between two f16, f32 and double may round it differently. */
function expectClose(actual: readonly number[][], wanted: readonly number[][], tolerance = 2e-4): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((row, t) => {
    const error = row.reduce((sum, value, i) => sum + (value - wanted[t][i]) ** 2, 0);
    const size = wanted[t].reduce((sum, value) => sum + value ** 2, 0);
    expect(Math.sqrt(error / size)).toBeLessThan(tolerance);
  });
}

const shapes: readonly [name: string, config: ModelConfig, tied: boolean][] = [
  ["grouped queries, own head", smallConfig, false],
  ["tied head", smallConfig, true],
  ["one key/value head each", { ...smallConfig, kvHeadCount: 4 }, false],
  ["sliding window", { ...smallConfig, slidingWindow: 9 }, false],
  ["heads wider than width / heads", { ...smallConfig, headLength: 16, ropeLength: 16 }, false],
  ["rope on part of a head", { ...smallConfig, ropeLength: 4 }, true],
];

describe("Engine", () => {
  it.each(shapes)("equals the plain forward pass: %s", async (_, config, tied) => {
    const { engine, matrices } = await openEngine(config, 11, tied);
    expectClose(await allLogits(engine.createSequence(), ids), naiveLogits(config, matrices, ids));
  });

  it("equals it with keys and values of eight bits, and needs heads of whole blocks for them", async () => {
    const { engine, matrices } = await openEngine(wideConfig, 17, false, 1, "Q8_0");
    const logits = await allLogits(engine.createSequence(), ids);
    // A key that f32 and double round to two neighbours differs by a 127th of the largest.
    expectClose(logits, naiveLogits(wideConfig, matrices, ids, toEightBits), 2e-3);
    await expect(openEngine(smallConfig, 17, false, 1, "Q8_0")).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("a multiple of 32 channels; this model's have 8"),
    });
    await expect(openEngine(wideConfig, 17, false, 1, "Q4_0" as CacheFormat)).rejects.toMatchObject({
      code: "bad-input",
    });
  });

  it("gives the same bits however a text is cut into steps", async () => {
    const { engine } = await openEngine(smallConfig, 12, false, 2);
    const whole = await allLogits(engine.createSequence(), ids);
    const sequence = engine.createSequence();
    const pieces: number[][] = [];
    for (const [first, end] of [
      [0, 1],
      [1, 20],
      [20, 21],
      [21, 70],
    ] as const)
      pieces.push(...(await allLogits(sequence, ids.slice(first, end))));
    expect(pieces).toEqual(whole);
  });

  it("keeps sequences apart, also when they give pages back and take others", async () => {
    const { engine } = await openEngine(smallConfig, 13, false, 3);
    const alone = await allLogits(engine.createSequence(), ids);
    const [a, b] = [engine.createSequence(), engine.createSequence()];
    const others = ids.map((id) => (id + 5) % smallConfig.vocabularySize);
    await b.append(others, "none");
    const first = await allLogits(a, ids.slice(0, 30));
    b.truncate(3);
    await b.append(others, "none");
    expect([...first, ...(await allLogits(a, ids.slice(30)))]).toEqual(alone);
  });

  it("continues from a truncated sequence as if the rest had never been there", async () => {
    const { engine } = await openEngine(smallConfig, 14, true, 2);
    const wanted = await allLogits(engine.createSequence(), ids);
    const sequence = engine.createSequence();
    await sequence.append([...ids.slice(0, 40), 1, 2, 3, 4], "none");
    sequence.truncate(40);
    expect(await allLogits(sequence, ids.slice(40))).toEqual(wanted.slice(40));
  });

  it("refuses what does not fit and stays usable", async () => {
    const { engine } = await openEngine(smallConfig, 15, true);
    const sequence = engine.createSequence();
    await expect(sequence.append([48], "last")).rejects.toThrow(
      "token id 48 is outside the vocabulary of 48",
    );
    await expect(sequence.append(Array(161).fill(1), "last")).rejects.toMatchObject({ code: "context-full" });
    expect(sequence.ids).toEqual([]);
    expect(() => engine.createSequence()).toThrow("all sequences");
    await sequence.append(Array(160).fill(1), "last");
    await expect(sequence.append([1], "last")).rejects.toMatchObject({ code: "context-full" });
    engine.dispose();
    await expect(sequence.append([], "last")).rejects.toMatchObject({ code: "disposed" });
  });

  it("gives the slot of a sequence back once, however often that is disposed", async () => {
    const { engine } = await openEngine(smallConfig, 16, true);
    const capacity = engine.sequenceCapacity;
    const sequence = engine.createSequence();
    sequence.dispose();
    sequence.dispose();
    for (let count = 0; count < capacity; count++) engine.createSequence();
    expect(() => engine.createSequence()).toThrow();
  });

  it("gives other work its turn between the steps of a prompt, so that an abort from there is seen", async () => {
    const { engine } = await openEngine(smallConfig, 16, true);
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const append = engine.createSequence().append(ids, "last", { signal: controller.signal });
    await expect(append).rejects.toMatchObject({ code: "aborted" });
  });

  it("stops between steps when aborted, keeping finished steps", async () => {
    const { engine } = await openEngine(smallConfig, 16, true);
    const sequence = engine.createSequence();
    const controller = new AbortController();
    const append = sequence.append(ids, "last", {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(append).rejects.toMatchObject({ code: "aborted" });
    expect(sequence.ids).toEqual(ids.slice(0, sequence.ids.length));
    expect(sequence.ids.length).toBeGreaterThan(0);
    expect(sequence.ids.length).toBeLessThan(ids.length);
  });
});
