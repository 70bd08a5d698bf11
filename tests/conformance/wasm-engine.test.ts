/** A whole model on the CPU device: the same bits in steps of any size and with any number of threads. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bankedDevice } from "../../src/devices/banked.ts";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice, type WasmDeviceOptions } from "../../src/devices/wasm/device.ts";
import type { Thread } from "../../src/devices/wasm/threads.ts";
import { Engine, type Sequence } from "../../src/generate/engine.ts";
import type { CacheFormatOption } from "../../src/model/cache-format.ts";
import { loadWeights } from "../../src/model/load.ts";
import { type Placement, singlePlacement } from "../../src/model/placement.ts";
import { modelWeights } from "../../src/model/weights.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { Device } from "../../src/tensor/device.ts";
import { denseTensor, type Tensor } from "../../src/tensor/tensor.ts";
import {
  matricesFile,
  naiveLogits,
  randomMatrices,
  smallConfig,
  toEightBits,
  wideConfig,
} from "../random-model.ts";

const matrices = randomMatrices(smallConfig, 11, false);
const wideMatrices = randomMatrices(wideConfig, 11, false);
const ids = Array.from({ length: 70 }, (_, i) => (i * 29 + 7) % smallConfig.vocabularySize);

/** With keys and values in F16, or both in Q8_0, or only the keys: then of the model whose heads have 32 channels. */
async function openEngine(
  device: Device,
  cacheFormat: CacheFormatOption = "F16",
  placement: Placement = singlePlacement(smallConfig.layerCount),
): Promise<Engine> {
  const [config, rows] = cacheFormat === "F16" ? [smallConfig, matrices] : [wideConfig, wideMatrices];
  const file = modelWeights(matricesFile(rows), config);
  const weights = await loadWeights(device, config, file, { placement });
  return new Engine(device, config, weights, { contextLength: 160, sequenceCount: 2, cacheFormat });
}

async function allLogits(sequence: Sequence, tokens: readonly number[]): Promise<number[][]> {
  const rows: number[][] = [];
  await sequence.append(tokens, "all", { onLogits: (logits) => rows.push([...logits]) });
  return rows;
}

const settings: readonly [string, WasmDeviceOptions][] = [
  ["the caller's thread", {}],
  ["one worker", { startThread, threadCount: 1 }],
  ["two workers", { startThread, threadCount: 2, smallWork: 0 }],
  ["one of two workers in small steps", { startThread, threadCount: 2 }],
  ["a worker with a memory of its own", { startThread, shared: false }],
  ["four workers", { startThread, threadCount: 4, smallWork: 0 }],
];

const formats: readonly [string, CacheFormatOption][] = [
  ["F16", "F16"],
  ["Q8_0", "Q8_0"],
  ["keys in Q8_0", { keys: "Q8_0" }],
];

/** All logits, by the name of the cache's format. */
const expected = new Map<string, number[][]>();
beforeAll(async () => {
  for (const [name, format] of formats) {
    const engine = await openEngine(await createWasmDevice(), format);
    expected.set(name, await allLogits(engine.createSequence(), ids));
    engine.dispose();
  }
});

function expectedIn(format: string): number[][] {
  return expected.get(format) ?? [];
}

it("equals the plain forward pass and the reference device", async () => {
  const engine = await openEngine(createReferenceDevice());
  const reference = await allLogits(engine.createSequence(), ids);
  for (const [t, row] of naiveLogits(smallConfig, matrices, ids).entries())
    for (const [i, value] of row.entries()) {
      expect(Math.abs(expectedIn("F16")[t][i] - value)).toBeLessThan(2e-3);
      expect(Math.abs(expectedIn("F16")[t][i] - reference[t][i])).toBeLessThan(1e-3);
    }
});

it("equals the plain forward pass with keys and values of eight bits", () => {
  // A key that f32 and double round to two neighbours differs by a 127th of the largest.
  for (const [t, row] of naiveLogits(wideConfig, wideMatrices, ids, toEightBits).entries())
    for (const [i, value] of row.entries())
      expect(Math.abs(expectedIn("Q8_0")[t][i] - value)).toBeLessThan(1e-2);
});

const runs = formats.flatMap(([format, option]) =>
  settings.map(([name, options]) => ({ format, option, name, options })),
);

describe.each(runs)("a cache of $format on $name", ({ format, option, options }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine(await createWasmDevice(options), option);
  });
  afterAll(() => engine.dispose());

  it("gives the same bits in one step and in many, beside another sequence", async () => {
    const other = engine.createSequence();
    await other.append(ids.slice(3, 50), "none");
    const sequence = engine.createSequence();
    const rows: number[][] = [];
    let first = 0;
    for (const length of [1, 19, 1, 2, 40, 7]) {
      rows.push(...(await allLogits(sequence, ids.slice(first, first + length))));
      await other.append(ids.slice(0, 1), "none");
      first += length;
    }
    expect(rows).toEqual(expectedIn(format));
    // And again on the page that this sequence filled.
    expect(other.begin(ids)).toBe(64);
    expect(await allLogits(other, ids.slice(64))).toEqual(expectedIn(format).slice(64));
  });
});

describe("in several memories", () => {
  const placements: readonly [string, Placement][] = [
    ["a layer each, and the head with the second", { bankCount: 2, layers: [0, 1], head: 1 }],
    ["every part in another", { bankCount: 4, layers: [1, 2], head: 3 }],
    ["back to the first for the head", { bankCount: 3, layers: [1, 2], head: 0 }],
  ];

  it.each(placements)("gives the same bits: %s", async (_, placement) => {
    const devices = Array.from({ length: placement.bankCount }, () =>
      createWasmDevice({ startThread, threadCount: 2, smallWork: 0 }),
    );
    const engine = await openEngine(bankedDevice(await Promise.all(devices)), "F16", placement);
    const sequence = engine.createSequence();
    const rows = await allLogits(sequence, ids.slice(0, 1));
    rows.push(...(await allLogits(sequence, ids.slice(1))));
    expect(rows).toEqual(expectedIn("F16"));
    engine.dispose();
  });

  it("gives the same bits with a cache of eight bits, and in workers with memories of their own", async () => {
    const devices = await Promise.all([1, 2].map(() => createWasmDevice({ startThread, shared: false })));
    const engine = await openEngine(bankedDevice(devices), "Q8_0", { bankCount: 2, layers: [0, 1], head: 0 });
    expect(await allLogits(engine.createSequence(), ids)).toEqual(expectedIn("Q8_0"));
    engine.dispose();
  });

  it.each([0, 1])(
    "fails for good when a worker of the second dies, with the head in bank %i",
    async (head) => {
      const threads: Thread[] = [];
      const dying = await createWasmDevice({
        startThread: () => {
          const thread = startThread();
          threads.push(thread);
          return thread;
        },
      });
      const device = bankedDevice([await createWasmDevice({ startThread }), dying]);
      const engine = await openEngine(device, "F16", { bankCount: 2, layers: [0, 1], head });
      const sequence = engine.createSequence();
      await sequence.append(ids.slice(0, 3), "none");
      void threads[0].terminate();
      await expect(sequence.append(ids.slice(3), "last")).rejects.toMatchObject({ code: "device-lost" });
      await expect(sequence.append(ids.slice(3), "last")).rejects.toMatchObject({ code: "device-lost" });
      engine.dispose();
      await expect(sequence.append(ids.slice(3), "last")).rejects.toMatchObject({ code: "disposed" });
    },
  );

  it("leaves nothing behind of ops that run at once, and of plans that are freed", async () => {
    const bank = () => createWasmDevice({ memoryLimit: 1 << 20 });
    const device = bankedDevice([await bank(), await bank()]);
    const [x, y] = (device.banks ?? []).map(
      (each): Tensor => denseTensor(each.allocate(64), 0, 1, 16, "F32"),
    );
    for (let i = 0; i < 5000; i++) {
      device.run("fill", { y: x, value: i });
      const plan = device.record(() => {
        device.run("fill", { y, value: 0 });
        device.run("convert", { x, y });
      });
      device.replay(plan);
      device.freePlan(plan);
      if (i % 500 === 0) expect(new Float32Array((await device.read(y.memory)).buffer)[15]).toBe(i);
    }
    const plan = device.record(() => device.run("fill", { y, value: 1 }));
    device.freePlan(plan);
    expect(() => device.replay(plan)).toThrow(expect.objectContaining({ code: "bad-input" }));
    device.dispose();
  });

  it("takes no op whose tensors lie in two of them", async () => {
    const device = bankedDevice([await createWasmDevice(), await createWasmDevice()]);
    const [x, y] = (device.banks ?? []).map(
      (bank): Tensor => denseTensor(bank.allocate(64), 0, 1, 16, "F32"),
    );
    const count = denseTensor(device.allocate(4), 0, 1, 1, "I32");
    expect(() => device.run("swiglu", { gate: x, up: x, y, count })).toThrow(
      expect.objectContaining({ code: "bad-input" }),
    );
    device.run("fill", { y: x, value: 3 });
    device.run("convert", { x, y });
    expect([...new Float32Array((await device.read(y.memory)).buffer)]).toEqual(new Array(16).fill(3));
    device.dispose();
  });
});

describe("a worker that dies", () => {
  it("rejects what waits for it and everything after", async () => {
    const threads: Thread[] = [];
    const device = await createWasmDevice({
      threadCount: 2,
      smallWork: 0,
      startThread: () => {
        const thread = startThread();
        threads.push(thread);
        return thread;
      },
    });
    const memory = device.allocate(64);
    threads[1].terminate();
    const y = { memory, byteOffset: 0, rows: 1, columns: 16, stride: 64, format: "F32" } as const;
    device.run("fill", { y, value: 1 });
    await expect(device.read(memory)).rejects.toMatchObject({ code: "device-lost" });
    await expect(device.read(memory)).rejects.toMatchObject({ code: "device-lost" });
    device.free(memory);
    device.dispose();
    await expect(device.read(memory)).rejects.toMatchObject({ code: "disposed" });
  });
});
