/**
 * One forward and backward pass of fixed shape, recorded once and replayed for every batch.
 *
 *   log-probabilities → loss → seeds (dLoss / dLogProbability of each row) → gradients
 *
 * A loss that is a mean knows its seeds beforehand, so both plans run without waiting for each other (`run`). One that
 * depends on the log-probabilities, as that of preferences, reads them in between (`forward`, then `backward`).
 *
 * Flow: data (Batch) → TrainingPass → ParameterStore's gradients → optimizer.ts.
 */
import type { ModelConfig } from "../model/config.ts";
import { CriaError } from "../shared/errors.ts";
import { Arena } from "../tensor/arena.ts";
import type { Device, Plan } from "../tensor/device.ts";
import type { Memory } from "../tensor/tensor.ts";
import type { Batch } from "./data/batch.ts";
import { type ForwardOptions, forwardTraining, type TrainingInputs, type TrainingModel } from "./forward.ts";
import { Tape } from "./tape.ts";

export interface PassShape {
  /** Windows of a batch. */
  readonly windows: number;
  /** Tokens of a window. */
  readonly length: number;
  /** Compute each layer again for its gradient: a third more time, a fraction of the memory. Default false. */
  readonly checkpoint?: boolean;
}

/** Logits that exist at once: 64 MiB. */
const LOGITS_BYTES = 64 << 20;

export class TrainingPass {
  readonly shape: PassShape;
  readonly #device: Device;
  readonly #arena: Arena;
  readonly #inputs: TrainingInputs;
  readonly #forward: Plan;
  readonly #backward: Plan;
  /** For its dropout, whose seed changes with each batch. */
  readonly #model: TrainingModel;

  constructor(device: Device, config: ModelConfig, model: TrainingModel, shape: PassShape) {
    this.shape = shape;
    this.#device = device;
    this.#model = model;
    this.#arena = new Arena(device, TrainingPass.bytesOf(config, model, shape));
    const { inputs, forward, backward } = layOut(device, this.#arena, config, model, shape);
    this.#inputs = inputs;
    this.#forward = device.record(forward);
    this.#backward = device.record(backward);
  }

  /** Bytes of inputs, activations and their gradients. */
  static bytesOf(config: ModelConfig, model: TrainingModel, shape: PassShape): number {
    const device = countingDevice();
    const arena = new Arena(device, Number.MAX_SAFE_INTEGER);
    const { forward, backward } = layOut(device, arena, config, model, shape);
    forward();
    backward();
    return arena.peak;
  }

  /**
   * Adds the gradients of Σ seeds · log-probability to the parameters.
   *
   * @returns the log-probability of each row's target, [windows · length].
   */
  async run(batch: Batch, seeds: Float32Array, dropoutSeed = 0): Promise<Float32Array> {
    this.#write(batch, dropoutSeed);
    this.#writeSeeds(seeds);
    this.#device.replay(this.#forward);
    this.#device.replay(this.#backward);
    return this.#logProbabilities();
  }

  /** The log-probability of each row's target, [windows · length]; `backward` may follow. */
  forward(batch: Batch, dropoutSeed = 0): Promise<Float32Array> {
    this.#write(batch, dropoutSeed);
    this.#device.replay(this.#forward);
    return this.#logProbabilities();
  }

  /** Gradients of the batch of the last `forward`. */
  backward(seeds: Float32Array): void {
    this.#writeSeeds(seeds);
    this.#device.replay(this.#backward);
  }

  dispose(): void {
    this.#arena.dispose();
  }

  #write(batch: Batch, dropoutSeed: number): void {
    const { windows, length } = this.shape;
    if (batch.rows !== windows || batch.length !== length)
      throw new CriaError(
        "bad-input",
        `batch: expected ${windows} windows of ${length} tokens, got ${batch.rows} of ${batch.length}`,
      );
    const { tokens, positions, starts, targets } = this.#inputs;
    for (const [tensor, values] of [
      [tokens, batch.tokens],
      [positions, batch.positions],
      [starts, batch.starts],
      [targets, batch.targets],
    ] as const)
      this.#device.write(tensor.memory, bytesOf(values), tensor.byteOffset);
    const seed = this.#model.adapterDropout?.seed;
    if (seed) this.#device.write(seed.memory, bytesOf(Int32Array.of(dropoutSeed)), seed.byteOffset);
  }

  #writeSeeds(values: Float32Array): void {
    const { seeds } = this.#inputs;
    if (values.length !== seeds.rows)
      throw new CriaError("bad-input", `seeds: expected ${seeds.rows} numbers, got ${values.length}`);
    this.#device.write(seeds.memory, bytesOf(values), seeds.byteOffset);
  }

  async #logProbabilities(): Promise<Float32Array> {
    const { memory, byteOffset, rows } = this.#inputs.logProbabilities;
    const bytes = await this.#device.read(memory, byteOffset, 4 * rows);
    return new Float32Array(bytes.buffer, bytes.byteOffset, rows);
  }
}

/** Both passes over buffers of an arena. `forward` and then `backward` are to be run or recorded once. */
function layOut(
  device: Device,
  arena: Arena,
  config: ModelConfig,
  model: TrainingModel,
  shape: PassShape,
): { readonly inputs: TrainingInputs; readonly forward: () => void; readonly backward: () => void } {
  const rows = shape.windows * shape.length;
  const list = () => arena.allocate(1, rows, "I32");
  const inputs: TrainingInputs = {
    tokens: list(),
    positions: list(),
    starts: list(),
    targets: list(),
    seeds: arena.allocate(rows, 1),
    logProbabilities: arena.allocate(rows, 1),
  };
  const options: ForwardOptions = {
    length: shape.length,
    checkpoint: shape.checkpoint ?? false,
    headRows: Math.max(1, Math.min(rows, Math.floor(LOGITS_BYTES / 4 / config.vocabularySize))),
  };
  const tape = new Tape({ device, arena, rows });
  return {
    inputs,
    forward: () => forwardTraining(tape, config, model, inputs, options),
    backward: () => tape.backward(),
  };
}

/** A device that only lets itself be asked for memory: laying out on it tells how much there must be. */
function countingDevice(): Device {
  const nothing = () => {};
  const never = (): never => {
    throw new Error("the counting device computes nothing");
  };
  return {
    name: "reference",
    prefillRows: 1,
    allocate: (byteLength): Memory => ({ byteLength }),
    free: nothing,
    write: nothing,
    read: never,
    run: nothing,
    record: never,
    replay: never,
    freePlan: nothing,
    dispose: nothing,
  };
}

function bytesOf(values: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
