/**
 * A whole run: recipe → data, session → steps with validation, samples and checkpoints → model file and card.
 *
 * The run's folder:
 *
 *   checkpoints/      what `resume` goes on from (checkpoint.ts)
 *   metrics.jsonl     a line a step, and one for each validation and sample
 *   model.gguf        the trained model; an adapter when adapters were trained
 *   README.md         its card;  report.html: curves and samples
 *
 * Flow: cli/commands/train.ts → runTraining → trainer.ts.
 */
import type { FileSystem } from "../files/byte-source.ts";
import type { ModelConfig } from "../model/config.ts";
import type { ModelWeights } from "../model/weights.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import type { Device } from "../tensor/device.ts";
import { type CheckpointPlace, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import type { Batch } from "./data/batch.ts";
import { type HeldOutData, objectiveOf } from "./objective.ts";
import type { Recipe } from "./recipe.ts";
import type { MetricsLine } from "./report.ts";
import { type MemoryPlan, openSession, type Session } from "./session.ts";
import { type StepMetrics, train } from "./trainer.ts";

/** What a run needs of the platform. */
export interface RunPlatform {
  readonly files: FileSystem;
  hashFiles(paths: readonly string[]): Promise<string>;
  /** No error when it is not there. */
  remove(path: string): Promise<void>;
  /** Appends a line to a file in a folder that is there. */
  appendLine(path: string, line: string): Promise<void>;
}

/** Batches by number: those of one seed are always the same. */
export interface RunData extends HeldOutData {
  batches(start: number): AsyncIterable<Batch>;
}

export interface RunOptions {
  readonly recipe: Recipe;
  readonly config: ModelConfig;
  readonly tied: boolean;
  /** The base's weights; absent for a new model. */
  readonly weights?: ModelWeights;
  readonly data: RunData;
  readonly device: Device;
  readonly platform: RunPlatform;
  /** Of everything that decides the numbers: recipe, data, tokenizer, base. */
  readonly fingerprint: string;
  /** Go on from the newest checkpoint. Without it, a folder that has one is refused. */
  readonly resume: boolean;
  readonly signal?: AbortSignal;
  readonly onStart?: (start: {
    readonly step: number;
    readonly memory: MemoryPlan;
    readonly parameters: number;
  }) => void;
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly onValidation?: (step: number, figures: Readonly<Record<string, number>>) => void;
  /** Called with the session when samples are due. */
  readonly onSample?: (step: number, session: Session) => Promise<void>;
  /** Called when all steps are done, to write the model. */
  readonly finish: (session: Session) => Promise<void>;
}

/** @throws {CriaError} what training, data and files throw; finished checkpoints stay. */
export async function runTraining(options: RunOptions): Promise<void> {
  const { recipe, platform, device, signal, fingerprint } = options;
  const { files } = platform;
  const place: CheckpointPlace = {
    files,
    folder: files.join(recipe.output, "checkpoints"),
    hashFiles: platform.hashFiles,
    remove: platform.remove,
  };
  const session = await openSession(device, {
    config: options.config,
    tied: options.tied,
    ...(options.weights ? { weights: options.weights } : {}),
    ...(recipe.kind !== "pretrain" && recipe.lora ? { lora: recipe.lora } : {}),
    reference: recipe.kind === "dpo",
    shape: {
      windows: recipe.batch.windows,
      length: recipe.batch.length ?? options.config.contextLength,
      checkpoint: recipe.gradientCheckpointing,
    },
    adamW: recipe.adamW,
    seed: recipe.seed,
    ...(signal ? { signal } : {}),
  });
  try {
    const start = await startOf(options, place, session);
    const metricsPath = files.join(recipe.output, "metrics.jsonl");
    const lines = await dropLaterLines(files, metricsPath, start);
    const log = (values: object) => platform.appendLine(metricsPath, JSON.stringify(values));
    options.onStart?.({ step: start, memory: session.memory, parameters: session.store.valueCount });
    const objective = objectiveOf(recipe, options.data, session);
    const validate = async (step: number): Promise<void> => {
      const figures = await objective.validate(signal);
      if (Object.keys(figures).length === 0) return;
      await log({ step, validation: figures });
      options.onValidation?.(step, figures);
    };
    /** Validates and samples where that is due, but for what `known` has of the step already. */
    const measure = async (step: number, known: readonly MetricsLine[] = []): Promise<void> => {
      const isDue = (every: number) => step === recipe.steps || step % every === 0;
      if (isDue(recipe.validateEvery) && !known.some((line) => line.validation)) await validate(step);
      if (!recipe.sample || step === 0 || !isDue(recipe.sample.every)) return;
      if (!known.some((line) => line.samples)) await options.onSample?.(step, session);
    };
    // The step that the weights are of, and the newest that has a checkpoint.
    let [updated, kept] = [start, start];
    const keep = async (step: number): Promise<void> => {
      await saveCheckpoint(place, session.store, { step, fingerprint }, recipe.checkpoint.keep);
      kept = step;
    };
    // Before the first step; after a stop, what the last one still owed.
    await measure(
      start,
      lines.filter(({ step }) => step === start),
    );
    const training = train({
      optimizer: session.optimizer,
      objective,
      batches: (first) => options.data.batches(first),
      steps: recipe.steps,
      accumulate: recipe.batch.accumulate,
      schedule: recipe.schedule,
      seed: recipe.seed,
      start,
      ...(signal ? { signal } : {}),
      async onStep(metrics) {
        const { step } = metrics;
        updated = step;
        await log(metrics);
        options.onStep?.(metrics);
        await measure(step);
        // After all lines of the step: whoever goes on from the checkpoint need not measure again.
        if (step === recipe.steps || step % recipe.checkpoint.every === 0) await keep(step);
      },
    });
    try {
      await training;
    } catch (error) {
      // Stopped from outside: the steps since the last checkpoint shall not be lost.
      if (error instanceof CriaError && error.code === "aborted" && updated > kept) await keep(updated);
      throw error;
    }
    throwIfAborted(signal);
    await options.finish(session);
  } finally {
    session.dispose();
  }
}

/** Removes the lines of steps that will be done again; gives those that stay. */
async function dropLaterLines(files: FileSystem, path: string, step: number): Promise<MetricsLine[]> {
  const text = (await files.exists(path)) ? await readText(files, path) : "";
  const kept = text.split("\n").flatMap((line) => {
    try {
      const values = JSON.parse(line) as MetricsLine;
      return step > 0 && values.step <= step ? [values] : [];
    } catch {
      // The end of a line that was being written when the process died.
      return [];
    }
  });
  const sink = await files.create(path);
  await sink.write(new TextEncoder().encode(kept.map((line) => `${JSON.stringify(line)}\n`).join("")));
  await sink.close();
  return kept;
}

async function readText(files: FileSystem, path: string): Promise<string> {
  const source = await files.open(path);
  try {
    return new TextDecoder().decode(await source.read(0, source.byteLength));
  } finally {
    await source.close();
  }
}

/** The step that is done already. */
async function startOf(options: RunOptions, place: CheckpointPlace, session: Session): Promise<number> {
  const state = await loadCheckpoint(place, session.store, options.fingerprint);
  if (!state) return 0;
  if (!options.resume)
    throw new CriaError(
      "bad-input",
      `${place.folder}: holds a run at step ${state.step}; resume it, or choose another output folder`,
    );
  return state.step;
}
