/**
 * The small models whose training is compared with PyTorch's: grouped queries, tied and untied head, texts packed into
 * windows. Weights come from a seed, so the figures that PyTorch gave can be stored without them.
 */
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { ropeFrequencies } from "../../src/model/rope-frequencies.ts";
import type { Device } from "../../src/tensor/device.ts";
import { denseTensor } from "../../src/tensor/tensor.ts";
import type { Batch } from "../../src/train/data/batch.ts";
import { fullModel, fullModelShapes, initialize } from "../../src/train/full-model.ts";
import { Optimizer } from "../../src/train/optimizer.ts";
import { ParameterStore } from "../../src/train/parameters.ts";
import { TrainingPass } from "../../src/train/pass.ts";
import type { Schedule } from "../../src/train/schedule.ts";
import { seededNumbers, smallConfig } from "../random-model.ts";
import { randomBatch } from "./random-batch.ts";

export const config: ModelConfig = { ...smallConfig, vocabularySize: 64, width: 32, feedForwardLength: 48 };
export const shape = { windows: 3, length: 16 };
export const schedule: Schedule = { rate: 0.01, warmup: 4, shape: "cosine", final: 0.1 };
export const steps = 20;

/** The batch of each step; all steps learn from the same three batches, so that the loss falls. */
export const batches: readonly Batch[] = [11, 12, 13].map((seed) =>
  randomBatch(shape.windows, shape.length, config.vocabularySize, seed),
);

export interface Training {
  readonly device: Device;
  readonly store: ParameterStore;
  readonly pass: TrainingPass;
  readonly optimizer: Optimizer;
}

/** A model at its start: the usual initialisation, but with gains away from 1 and larger matrices. */
export async function startTraining(
  tied: boolean,
  device: Device = createReferenceDevice(),
): Promise<Training> {
  const store = new ParameterStore(device, fullModelShapes(config, tied));
  initialize(store, config, tied, 1);
  const next = seededNumbers(9);
  for (const name of store.names) {
    const values = await store.read(name);
    const spread = name.includes("norm") ? 0.2 : 0.1;
    store.write(
      name,
      values.map((value) => value + spread * next()),
    );
  }
  const frequencies = ropeFrequencies(config);
  const memory = device.allocate(frequencies.byteLength);
  device.write(memory, new Uint8Array(frequencies.buffer));
  const model = fullModel(store, config, denseTensor(memory, 0, 1, frequencies.length, "F32"), tied);
  const pass = new TrainingPass(device, config, model, shape);
  return { device, store, pass, optimizer: new Optimizer(device, store) };
}

/** A number that any wrong value of a gradient changes: its product with seeded numbers. */
export function fingerprint(values: Float32Array): number {
  const next = seededNumbers(17);
  return values.reduce((sum, value) => sum + value * next(), 0);
}
