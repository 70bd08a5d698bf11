/**
 * The loop of training: batches → loss → gradients → update. Validation and checkpoints are the caller's, after a step.
 *
 * A step depends on nothing but its number, the seed and the weights before it, so a run that is resumed from a
 * checkpoint goes on to the bit as if it had never stopped.
 *
 * Flow: data/ (batches), pass.ts, optimizer.ts → train → checkpoint.ts, metrics, model file.
 */
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import type { Batch } from "./data/batch.ts";
import type { LossSum } from "./mean-loss.ts";
import { divergedAt, type Optimizer } from "./optimizer.ts";
import { rateAt, type Schedule } from "./schedule.ts";

export interface StepMetrics {
  /** Counts from 1. */
  readonly step: number;
  readonly steps: number;
  /**
   * Mean −log-probability of the tokens that count, in nats; or what else the objective minimises. NaN, and null in
   * metrics.jsonl, for a step without such a token, which leaves the weights as they are.
   */
  readonly loss: number;
  readonly rate: number;
  /** Norm of the gradients before clipping; NaN where there is no loss. */
  readonly norm: number;
  /** Rows of the step's windows, those included that do not count. */
  readonly tokens: number;
  readonly seconds: number;
  /** Further figures of the objective, such as the accuracy of preferences. */
  readonly extra?: Readonly<Record<string, number>>;
}

/** What is minimised. */
export interface Objective {
  /** Adds the gradients of a step's batches to the parameters. */
  step(
    batches: readonly Batch[],
    dropoutSeed: (index: number) => number,
  ): Promise<LossSum & { readonly extra?: Readonly<Record<string, number>> }>;
  /** Loss and other figures over the held-out part; none where nothing of it counts. */
  validate(signal: AbortSignal | undefined): Promise<Readonly<Record<string, number>>>;
}

export interface TrainOptions {
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  /** Batches from the given one on; the same for the same seed. */
  readonly batches: (start: number) => AsyncIterable<Batch>;
  readonly steps: number;
  /** Batches of a step. Default 1. */
  readonly accumulate?: number;
  readonly schedule: Schedule;
  readonly seed: number;
  /** Steps that are done already. Default 0. */
  readonly start?: number;
  readonly signal?: AbortSignal;
  /** After each step; what it does (checkpoints, samples) is waited for. */
  readonly onStep?: (metrics: StepMetrics) => void | Promise<void>;
}

/** @throws {CriaError} "diverged" when a loss or gradient is not finite; "aborted" between steps; "bad-input" */
export async function train(options: TrainOptions): Promise<void> {
  const { optimizer, objective, steps, schedule, seed, signal, accumulate = 1, start = 0 } = options;
  const source = options.batches(start * accumulate)[Symbol.asyncIterator]();
  try {
    for (let step = start + 1; step <= steps; step++) {
      throwIfAborted(signal);
      const began = performance.now();
      const batches = await take(source, accumulate, step);
      optimizer.clear();
      const sum = await objective.step(batches, (index) => dropoutSeed(seed, step, index));
      const learns = sum.counted > 0;
      const loss = learns ? sum.total / sum.counted : Number.NaN;
      if (learns && !Number.isFinite(loss)) throw divergedAt(step, `the loss is ${loss}`);
      const rate = rateAt(schedule, step, steps);
      const norm = learns ? await optimizer.step(step, rate) : Number.NaN;
      const tokens = batches.reduce((total, batch) => total + batch.rows * batch.length, 0);
      const seconds = (performance.now() - began) / 1000;
      const extra = sum.extra ? { extra: sum.extra } : {};
      await options.onStep?.({ step, steps, loss, rate, norm, tokens, seconds, ...extra });
    }
  } finally {
    await source.return?.();
  }
}

async function take(source: AsyncIterator<Batch>, count: number, step: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let index = 0; index < count; index++) {
    const { done, value } = await source.next();
    if (done)
      throw new CriaError("bad-input", `step ${step}: the data gave no batch ${index + 1} of ${count}`);
    batches.push(value);
  }
  return batches;
}

/** 32 bits that differ from batch to batch. */
function dropoutSeed(seed: number, step: number, index: number): number {
  return Math.imul(seed ^ Math.imul(step, 0x9e3779b1), 0x85ebca6b) + index;
}
