/** Training on models as files hold them: adapters beside packed weights (QLoRA), and rope factors of Llama 3.1. */
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import type { StoredTensor } from "../../src/files/stored-tensor.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { type ModelWeights, modelWeights } from "../../src/model/weights.ts";
import { quantizeRow } from "../../src/quantize/quantize.ts";
import type { Device } from "../../src/tensor/device.ts";
import { blockBytes, rowBytes } from "../../src/tensor/format.ts";
import { floatToHalf } from "../../src/tensor/half.ts";
import { dequantizeRow } from "../../src/tensor/unpack.ts";
import { fullModelShapes, initialize, storedRopeFactors } from "../../src/train/full-model.ts";
import { ParameterStore } from "../../src/train/parameters.ts";
import type { LoraSettings } from "../../src/train/recipe.ts";
import { openSession, type Session } from "../../src/train/session.ts";
import { writeTrainedModel } from "../../src/train/write-trained.ts";
import { sentencePieceVocabulary } from "../builders/vocabulary.ts";
import { randomWeights } from "../conformance/place.ts";
import { memoryFiles } from "../memory-files.ts";
import { matricesFile, randomMatrices, seededNumbers, smallConfig, storedRows } from "../random-model.ts";
import { randomBatch } from "./random-batch.ts";

/** Columns are whole blocks of every format. */
const config = { ...smallConfig, width: 256, headLength: 64, ropeLength: 64, feedForwardLength: 256 };
const floats = modelWeights(matricesFile(randomMatrices(config, 3, false)), config);
const shape = { windows: 2, length: 12 };
const batch = randomBatch(shape.windows, shape.length, config.vocabularySize, 21);
const lora: LoraSettings = {
  ...{ rank: 4, alpha: 8, dropout: 0 },
  targets: ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
};

type Packed = "Q4_0" | "Q4_K" | "Q8_0";

/** The matrices in a packed format; the gains stay F32. */
async function packedWeights(format: Packed): Promise<ModelWeights> {
  const packed = new Map(floats);
  for (const [name, weight] of floats)
    if (weight.rows > 1) packed.set(name, await packedTensor(weight, format, packed.size));
  return packed;
}

async function packedTensor(weight: StoredTensor, format: Packed, seed: number): Promise<StoredTensor> {
  const { name, rows, columns } = weight;
  const stride = rowBytes(format, columns);
  let bytes: Uint8Array;
  if (format === "Q4_K") {
    // Nothing here writes this format, so the quants are random, with scales that make values of a weight's size.
    bytes = randomWeights(format, rows, columns, seed + weight.name.length);
    const view = new DataView(bytes.buffer);
    for (let block = 0; block < bytes.length; block += blockBytes(format)) {
      view.setUint16(block, floatToHalf(1.2e-4), true);
      view.setUint16(block + 2, floatToHalf(9e-4), true);
    }
  } else {
    bytes = new Uint8Array(rows * stride);
    const values = new Float32Array((await weight.readRows(0, rows)).slice().buffer);
    for (let r = 0; r < rows; r++)
      bytes.set(quantizeRow(format, values.subarray(r * columns, (r + 1) * columns)), r * stride);
  }
  return {
    ...{ name, format, rows, columns },
    readRows: async (first, count) => bytes.slice(first * stride, (first + count) * stride),
  };
}

/** The same values as F32. */
async function unpacked(weights: ModelWeights): Promise<ModelWeights> {
  const list = await Promise.all(
    [...weights].map(async ([name, { format, rows, columns, readRows }]) => {
      const bytes = await readRows(0, rows);
      const values = Array.from({ length: rows }, (_, r) => {
        const row = new Float32Array(columns);
        dequantizeRow(format, bytes, r * rowBytes(format, columns), columns, row);
        return row;
      });
      return [name, storedRows(name, values)] as const;
    }),
  );
  return new Map(list);
}

async function open(device: Device, weights: ModelWeights): Promise<Session> {
  const session = await openSession(device, {
    ...{ config, tied: false, weights, lora, shape, adamW: { weightDecay: 0 }, seed: 1 },
  });
  const next = seededNumbers(4);
  for (const name of session.store.names)
    session.store.write(
      name,
      (await session.store.read(name)).map((value) => value + 0.05 * next()),
    );
  return session;
}

/** Log-probabilities and all gradients of the mean loss. */
async function passOver({ store, pass }: Session): Promise<{ values: Float32Array; gradient: number[] }> {
  const counted = batch.weights.reduce((sum, weight) => sum + weight, 0);
  const values = await pass.run(
    batch,
    batch.weights.map((weight) => -weight / counted),
  );
  const gradient: number[] = [];
  for (const name of store.names) gradient.push(...(await store.read(name, "gradient")));
  return { values: values.slice(), gradient };
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0);

describe.each(["Q4_0", "Q4_K", "Q8_0"] as const)("adapters beside %s weights", (format) => {
  it.each([
    ["reference", createReferenceDevice],
    ["wasm", () => createWasmDevice({})],
  ] as const)(
    "%s: have the gradients of the same weights in F32, but for int8 activations, and learn",
    async (_, createDevice) => {
      const weights = await packedWeights(format);
      const device = await createDevice();
      const [packed, plain] = [
        await open(device, weights),
        await open(createReferenceDevice(), await unpacked(weights)),
      ];
      let bytes = 0;
      for (const { format: stored, rows, columns } of weights.values())
        bytes += rows * rowBytes(stored, columns);
      expect(packed.memory.base).toBe(bytes);

      const [ours, wanted] = [await passOver(packed), await passOver(plain)];
      const largest = Math.max(...ours.values.map((value, t) => Math.abs(value - wanted.values[t])));
      expect(largest).toBeLessThan(0.2);
      const cosine =
        dot(ours.gradient, wanted.gradient) / (Math.hypot(...ours.gradient) * Math.hypot(...wanted.gradient));
      expect(cosine).toBeGreaterThan(0.99);

      const losses: number[] = [];
      for (let step = 1; step <= 12; step++) {
        packed.optimizer.clear();
        const { values } = await passOver(packed);
        losses.push(-values.reduce((sum, value, t) => sum + value * batch.weights[t], 0));
        await packed.optimizer.step(step, 0.01);
      }
      expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]);
      packed.dispose();
      device.dispose();
    },
  );
});

it("full training turns rows by the base's rope factors, as adapters beside it do", async () => {
  const factors = Float32Array.from({ length: config.ropeLength / 2 }, (_, i) => (i < 8 ? 1 : 8));
  const weights = new Map([
    ...floats,
    ["rope_freqs.weight", storedRows("rope_freqs.weight", [factors])] as const,
  ]);
  const options = { config, tied: false, shape, adamW: {}, seed: 1 };
  const full = await openSession(createReferenceDevice(), { ...options, weights });
  const beside = await openSession(createReferenceDevice(), { ...options, weights, lora });
  const without = await openSession(createReferenceDevice(), { ...options, weights: floats });
  const values = await full.pass.forward(batch);
  const distance = async ({ pass }: Session) =>
    Math.max(...(await pass.forward(batch)).map((value, t) => Math.abs(value - values[t])));
  expect(await distance(beside)).toBeLessThan(1e-5);
  expect(await distance(without)).toBeGreaterThan(1e-2);
});

it("a trained model is written with the base's rope factors, and with what it recommends", async () => {
  const vocabulary = sentencePieceVocabulary(["▁", "a", "b"]);
  const small = { ...smallConfig, vocabularySize: vocabulary.pieces.length };
  const store = new ParameterStore(createReferenceDevice(), fullModelShapes(small, true));
  initialize(store, small, true, 1);
  const factors = Float32Array.of(1, 2, 4, 8);
  const files = memoryFiles();
  const ropeFactors = storedRows("rope_freqs.weight", [factors]);
  await writeTrainedModel(
    { store, config: small, tied: true, vocabulary, ropeFactors, sampling: { temperature: 0.5 } },
    "m.gguf",
    files,
    "q8_0",
  );
  const { weights, sampling } = await openCheckpoint("m.gguf", files);
  expect(await storedRopeFactors(weights)).toEqual(factors);
  expect(sampling).toEqual({ temperature: 0.5 });
});
