/** Every gradient of a small Llama against finite differences of its loss, which share no code with the gradient ops. */
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { ropeFrequencies } from "../../src/model/rope-frequencies.ts";
import { denseTensor } from "../../src/tensor/tensor.ts";
import type { Batch } from "../../src/train/data/batch.ts";
import { fullModel, fullModelShapes, initialize } from "../../src/train/full-model.ts";
import { meanLossStep } from "../../src/train/mean-loss.ts";
import { ParameterStore } from "../../src/train/parameters.ts";
import { TrainingPass } from "../../src/train/pass.ts";
import { seededNumbers, smallConfig } from "../random-model.ts";
import { randomBatch } from "./random-batch.ts";

const config: ModelConfig = {
  ...smallConfig,
  vocabularySize: 24,
  width: 16,
  headLength: 4,
  ropeLength: 4,
  feedForwardLength: 20,
};
const batch = randomBatch(2, 6, config.vocabularySize, 3);
const weightSum = batch.weights.reduce((sum, weight) => sum + weight, 0);
const seeds = batch.weights.map((weight) => -weight / weightSum);

function setUp(tied: boolean, checkpoint: boolean) {
  const device = createReferenceDevice();
  const store = new ParameterStore(device, fullModelShapes(config, tied));
  initialize(store, config, tied, 1);
  const frequencies = ropeFrequencies(config);
  const memory = device.allocate(frequencies.byteLength);
  device.write(memory, new Uint8Array(frequencies.buffer));
  const model = fullModel(store, config, denseTensor(memory, 0, 1, frequencies.length, "F32"), tied);
  const pass = new TrainingPass(device, config, model, { windows: 2, length: 6, checkpoint });
  return { store, pass };
}

/** Larger values than at a start, so that every part of the model bends. */
async function scatter(store: ParameterStore): Promise<void> {
  const next = seededNumbers(5);
  for (const name of store.names) {
    const values = await store.read(name);
    store.write(
      name,
      values.map((value) => value + 0.3 * next()),
    );
  }
}

async function lossOf(pass: TrainingPass): Promise<number> {
  const logProbabilities = await pass.forward(batch);
  return logProbabilities.reduce((sum, value, t) => sum + value * seeds[t], 0);
}

describe.each([
  { tied: true, checkpoint: false },
  { tied: false, checkpoint: false },
  { tied: false, checkpoint: true },
])("a model with tied head $tied, checkpointing $checkpoint", ({ tied, checkpoint }) => {
  it("has the gradient that finite differences have", async () => {
    const { store, pass } = setUp(tied, checkpoint);
    await scatter(store);
    await pass.run(batch, seeds);
    for (const name of store.names) {
      const gradient = await store.read(name, "gradient");
      const values = await store.read(name);
      // Along the gradient and along a random direction: a wrong part shows in one of them.
      const next = seededNumbers(7);
      for (const direction of [gradient, values.map(() => next())]) {
        const length = Math.hypot(...direction);
        const along = (step: number) => values.map((value, i) => value + (step * direction[i]) / length);
        const slope = async (step: number) => {
          store.write(name, along(step));
          const above = await lossOf(pass);
          store.write(name, along(-step));
          return (above - (await lossOf(pass))) / (2 * step);
        };
        // Richardson's combination: what is left is of the fourth order of the step.
        const measured = (4 * (await slope(0.004)) - (await slope(0.008))) / 3;
        store.write(name, values);
        const wanted = direction.reduce((sum, value, i) => sum + (value * gradient[i]) / length, 0);
        const size = Math.hypot(...gradient);
        expect(Math.abs(measured - wanted) / size, name).toBeLessThan(1e-3);
      }
    }
  });
});

it("checkpointing changes no bit of a gradient", async () => {
  const [kept, again] = [setUp(true, false), setUp(true, true)];
  await kept.pass.run(batch, seeds);
  await again.pass.run(batch, seeds);
  for (const name of kept.store.names)
    expect(await again.store.read(name, "gradient"), name).toEqual(await kept.store.read(name, "gradient"));
});

it("a second backward pass adds", async () => {
  const { store, pass } = setUp(true, false);
  await pass.run(batch, seeds);
  const once = await store.read("blk.0.ffn_down.weight", "gradient");
  await pass.run(batch, seeds);
  const twice = await store.read("blk.0.ffn_down.weight", "gradient");
  twice.forEach((value, i) => {
    expect(value).toBeCloseTo(2 * once[i], 6);
  });
});

it("accumulated batches have the gradient of the mean over all their tokens", async () => {
  const other = randomBatch(2, 6, config.vocabularySize, 8);
  const name = "blk.1.ffn_gate_up.weight";
  const gradientOf = async (list: readonly Batch[]) => {
    const { store, pass } = setUp(true, false);
    await meanLossStep(pass, list, () => 0);
    return store.read(name, "gradient");
  };
  const [both, first, second] = [
    await gradientOf([batch, other]),
    await gradientOf([batch]),
    await gradientOf([other]),
  ];
  const otherSum = other.weights.reduce((sum, weight) => sum + weight, 0);
  expect(otherSum).not.toBe(weightSum);
  both.forEach((value, i) => {
    expect(value).toBeCloseTo((weightSum * first[i] + otherSum * second[i]) / (weightSum + otherSum), 6);
  });
});
