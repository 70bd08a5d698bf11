/**
 * What a run trains on a device: all weights of a model, new or loaded, or adapters beside frozen ones.
 *
 * Flow: recipe, Checkpoint → openSession → ParameterStore, TrainingPass, Optimizer → trainer.ts.
 */
import { tensorBytes } from "../files/stored-tensor.ts";
import type { ModelConfig } from "../model/config.ts";
import { loadWeights } from "../model/load.ts";
import { ropeFrequencies } from "../model/rope-frequencies.ts";
import type { ModelWeights } from "../model/weights.ts";
import { CriaError } from "../shared/errors.ts";
import { gigabytes } from "../shared/gigabytes.ts";
import type { Device } from "../tensor/device.ts";
import { denseTensor, type Memory } from "../tensor/tensor.ts";
import type { TrainingModel } from "./forward.ts";
import {
  fillFrom,
  floatWeights,
  fullModel,
  fullModelShapes,
  initialize,
  storedRopeFactors,
} from "./full-model.ts";
import { frozenModel, initializeLora, loraModel, loraShapes } from "./lora.ts";
import { type AdamWOptions, Optimizer } from "./optimizer.ts";
import { type ParameterShape, ParameterStore } from "./parameters.ts";
import { type PassShape, TrainingPass } from "./pass.ts";
import type { LoraSettings } from "./recipe.ts";

export interface SessionOptions {
  readonly config: ModelConfig;
  readonly tied: boolean;
  /** Weights to start from; without them they are random. */
  readonly weights?: ModelWeights;
  /** Train adapters instead of the weights, which must be given. */
  readonly lora?: LoraSettings;
  /** Keep a pass over the base as it was, which preferences are measured against. */
  readonly reference?: boolean;
  readonly shape: PassShape;
  readonly adamW: AdamWOptions;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Bytes that a run needs, by what they are for. */
export interface MemoryPlan {
  /** Frozen weights. */
  readonly base: number;
  /** Trained weights. */
  readonly weights: number;
  readonly gradients: number;
  /** AdamW's means and variances. */
  readonly optimizer: number;
  /** Inputs, activations and their gradients. */
  readonly activations: number;
  readonly total: number;
}

export interface Session {
  readonly store: ParameterStore;
  readonly pass: TrainingPass;
  /** For validation: forward passes without dropout, which is `pass` itself where there is none. */
  readonly evaluation: TrainingPass;
  /** Forward passes over the base, where asked for. */
  readonly reference?: TrainingPass;
  readonly optimizer: Optimizer;
  readonly memory: MemoryPlan;
  dispose(): void;
}

/** @throws {CriaError} "no-memory" when the device cannot hold it, saying how much each part takes. */
export async function openSession(device: Device, options: SessionOptions): Promise<Session> {
  const { config, tied, weights, lora, shape, seed } = options;
  if (config.slidingWindow > 0)
    throw new CriaError(
      "unsupported",
      "training a model with a sliding window: its texts would see too much",
    );
  if ((lora || options.reference) && !weights)
    throw new CriaError("bad-input", "adapters and preferences need a base");
  const shapes = lora ? loraShapes(config, lora) : fullModelShapes(config, tied);
  // Adapters go beside the base as it is. Whole weights are trained in F32, so what they are measured against is F32 too:
  // the two are the same at the start, to the rounding of sums.
  const reference = options.reference && weights ? floatWeights(weights) : undefined;
  const kept = lora ? weights : reference;
  const held: (() => void)[] = [];
  try {
    const base = kept
      ? await loadWeights(device, config, kept, options.signal ? { signal: options.signal } : {})
      : undefined;
    if (base) held.push(() => base.dispose());
    const store = new ParameterStore(device, shapes);
    held.push(() => store.dispose());
    const values = (list: Float32Array | Int32Array): Memory => {
      const memory = device.allocate(list.byteLength);
      held.push(() => device.free(memory));
      device.write(memory, new Uint8Array(list.buffer, list.byteOffset, list.byteLength));
      return memory;
    };
    let model: TrainingModel;
    if (lora && base) {
      initializeLora(store, seed);
      model = loraModel(base, store, lora, denseTensor(values(new Int32Array(1)), 0, 1, 1, "I32"));
    } else {
      const frequencies = ropeFrequencies(config, await storedRopeFactors(weights));
      const tensor = denseTensor(values(frequencies), 0, 1, frequencies.length, "F32");
      model = fullModel(store, config, tensor, tied);
      if (weights) await fillFrom(store, config, tied, weights);
      else initialize(store, config, tied, seed);
    }
    const { adapterDropout, ...plain } = model;
    const evaluated = adapterDropout ? plain : undefined;
    const frozen = base && options.reference ? frozenModel(base) : undefined;
    // Layer by layer: what gradients need is not kept.
    const forwardShape = { ...shape, checkpoint: true };
    const bytesOf = (one: TrainingModel | undefined) =>
      one ? TrainingPass.bytesOf(config, one, forwardShape) : 0;
    const memory = memoryPlan(
      shapes,
      kept ? weightBytes(kept) : 0,
      TrainingPass.bytesOf(config, model, shape) + bytesOf(evaluated) + bytesOf(frozen),
    );
    checkMemory(device, memory);
    const passOver = (one: TrainingModel, its: PassShape): TrainingPass => {
      const pass = new TrainingPass(device, config, one, its);
      held.push(() => pass.dispose());
      return pass;
    };
    const pass = passOver(model, shape);
    const evaluation = evaluated ? passOver(evaluated, forwardShape) : pass;
    const beside = frozen ? { reference: passOver(frozen, forwardShape) } : {};
    const optimizer = new Optimizer(device, store, options.adamW);
    held.push(() => optimizer.dispose());
    return { store, pass, evaluation, ...beside, optimizer, memory, dispose: () => free(held) };
  } catch (error) {
    free(held);
    throw error;
  }
}

/** Gives everything back, last first. */
function free(held: (() => void)[]): void {
  for (const give of held.splice(0).reverse()) give();
}

function memoryPlan(shapes: readonly ParameterShape[], base: number, activations: number): MemoryPlan {
  const weights = ParameterStore.bytesOf(shapes) / 4;
  const total = base + 4 * weights + activations;
  return { base, weights, gradients: weights, optimizer: 2 * weights, activations, total };
}

function checkMemory(device: Device, memory: MemoryPlan): void {
  const limit = device.memoryLimit ?? Number.POSITIVE_INFINITY;
  if (memory.total <= limit) return;
  const parts = (["base", "weights", "gradients", "optimizer", "activations"] as const)
    .filter((part) => memory[part] > 0)
    .map((part) => `${part} ${gigabytes(memory[part])}`);
  throw new CriaError(
    "no-memory",
    `the run needs ${gigabytes(memory.total)} (${parts.join(", ")}), but the ${device.name} device can hold ` +
      `${gigabytes(limit)}; fewer or shorter windows, more accumulation, or gradientCheckpointing may do`,
  );
}

function weightBytes(weights: ModelWeights): number {
  return [...weights.values()].reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}
