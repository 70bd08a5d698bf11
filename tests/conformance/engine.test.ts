/** The engine against a forward pass that shares no code with it, in every way that a step can be cut. */
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { Engine, type Sequence } from "../../src/generate/engine.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { loadWeights } from "../../src/model/load.ts";
import { modelWeights } from "../../src/model/weights.ts";
import { matricesFile, naiveLogits, randomMatrices, smallConfig } from "../random-model.ts";

async function openEngine(config: ModelConfig, seed: number, tied: boolean, sequenceCount = 1) {
  const matrices = randomMatrices(config, seed, tied);
  const device = createReferenceDevice();
  const weights = await loadWeights(device, config, modelWeights(matricesFile(matrices), config));
  return { matrices, engine: new Engine(device, config, weights, { contextLength: 160, sequenceCount }) };
}

async function allLogits(sequence: Sequence, ids: readonly number[]): Promise<number[][]> {
  const rows: number[][] = [];
  await sequence.append(ids, "all", { onLogits: (logits) => rows.push([...logits]) });
  return rows;
}

/** Ids that visit the whole vocabulary and pass a page border. */
const ids = Array.from({ length: 70 }, (_, i) => (i * 29 + 7) % smallConfig.vocabularySize);

function expectClose(actual: readonly number[][], wanted: readonly number[][]): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((row, t) => {
    const error = row.reduce((sum, value, i) => sum + (value - wanted[t][i]) ** 2, 0);
    const size = wanted[t].reduce((sum, value) => sum + value ** 2, 0);
    // Where a key lies between two f16, f32 and double may round it differently.
    expect(Math.sqrt(error / size)).toBeLessThan(2e-4);
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
