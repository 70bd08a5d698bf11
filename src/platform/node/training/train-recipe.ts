/**
 * Runs a recipe: opens what it names, trains, and fills the run's folder.
 *
 * Flow: recipe → trainRecipe → train/run.ts → model, card, report.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createWasmDevice } from "../../../devices/wasm/device.ts";
import { builtInTemplates } from "../../../generate/chat-format/built-in-templates.ts";
import type { ChatFormat } from "../../../generate/chat-format/chat-format.ts";
import { chatFormat } from "../../../generate/chat-format/detect.ts";
import type { Model } from "../../../generate/model.ts";
import { writeAdapter } from "../../../model/adapter.ts";
import { CriaError } from "../../../shared/errors.ts";
import { createTokenizer } from "../../../tokenizer/create-tokenizer.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { ROPE_FACTORS } from "../../../train/full-model.ts";
import { trainedAdapter } from "../../../train/lora.ts";
import type { Recipe } from "../../../train/recipe.ts";
import { runTraining } from "../../../train/run.ts";
import type { MemoryPlan, Session } from "../../../train/session.ts";
import type { StepMetrics } from "../../../train/trainer.ts";
import { writeTrainedModel } from "../../../train/write-trained.ts";
import { nodeFiles, worded } from "../file-system.ts";
import { hashFiles } from "../hash.ts";
import { load } from "../load.ts";
import { startThread, threadLimit } from "../threads.ts";
import { type OpenedData, openRunData } from "./open-data.ts";
import { RunLog } from "./run-log.ts";
import { nodeRun } from "./run-platform.ts";
import { openStart, type Start } from "./start.ts";

export interface Sample {
  readonly prompt: string;
  readonly text: string;
}

/** What is known before the first step. */
export interface RunStart {
  /** Steps that are done already. */
  readonly step: number;
  /** Values that are trained. */
  readonly parameters: number;
  readonly memory: MemoryPlan;
  /** Bytes of the process before the run's own are allocated: Node, its threads, the data's tables. */
  readonly program: number;
  /** Documents and tokens, in words. */
  readonly data: string;
}

export interface TrainRecipeOptions {
  /** Go on from the newest checkpoint of the output folder. Without it a folder that holds a run is refused. */
  readonly resume?: boolean;
  /** Default: those of the machine. */
  readonly threads?: number;
  /** Stops between steps, or in the midst of validation; what is done so far is kept as a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onNotice?: (line: string) => void;
  readonly onStart?: (start: RunStart) => void;
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly onValidation?: (step: number, figures: Readonly<Record<string, number>>) => void;
  readonly onSamples?: (step: number, samples: readonly Sample[]) => void;
}

/**
 * Trains what a recipe says and gives the path of the model (or adapter) that it wrote.
 *
 * @throws {CriaError} what the recipe's files, the data and training throw; finished checkpoints stay.
 */
export async function trainRecipe(recipe: Recipe, options: TrainRecipeOptions = {}): Promise<string> {
  const { signal } = options;
  const start = await openStart(recipe);
  const device = await createWasmDevice({ startThread, threadCount: options.threads ?? threadLimit() });
  let opened: OpenedData | undefined;
  let result = "";
  try {
    const { length = start.config.contextLength } = recipe.batch;
    if (length > start.config.contextLength)
      throw new CriaError(
        "bad-input",
        `batch.length: ${length} tokens, but the model's context is ${start.config.contextLength}`,
      );
    await worded(recipe.output, mkdir(recipe.output, { recursive: true }));
    const tokenizer = createTokenizer(start.vocabulary);
    const template = start.chatTemplate;
    const data = await openRunData(recipe, {
      tokenizer,
      encoding: encodingOf(start),
      chatFormat: () => formatOf(template, tokenizer),
      length,
      cacheFolder: join(recipe.output, "tokens"),
      ...(signal ? { signal } : {}),
      say: (line) => options.onNotice?.(line),
    });
    opened = data;
    const log = new RunLog(recipe);
    await log.open();
    const program = process.memoryUsage().rss;
    await runTraining({
      recipe,
      config: start.config,
      tied: start.tied,
      ...(start.weights ? { weights: start.weights } : {}),
      data: data.batches,
      device,
      platform: nodeRun,
      fingerprint: JSON.stringify([numbersOf(recipe), data.fingerprint, await hashFiles(start.paths)]),
      resume: options.resume ?? false,
      ...(signal ? { signal } : {}),
      onStart: (known) => {
        log.start(known.step);
        options.onStart?.({ ...known, program, data: data.description });
      },
      onStep: (metrics) => {
        log.step(metrics);
        options.onStep?.(metrics);
      },
      onValidation: (step, figures) => {
        log.validation(step, figures);
        options.onValidation?.(step, figures);
      },
      onSample: async (step, session) => {
        const samples = await sample(recipe, start, session);
        if (samples.length === 0) return;
        await log.samples(step, samples);
        options.onSamples?.(step, samples);
      },
      finish: async (session) => {
        result = join(recipe.output, await writeResult(recipe, start, session));
        await log.writeCard(start.config, session.store.valueCount);
        await log.writeReport();
        await removeHalfWritten(recipe.output);
      },
    });
    return result;
  } finally {
    device.dispose();
    await opened?.close();
    await start.close();
  }
}

/** All that decides which ids a text has: two vocabularies can have the same pieces and differ in their end token. */
function encodingOf({ vocabulary, chatTemplate = "" }: Start): string {
  const { scores, kinds, ...rest } = vocabulary;
  return JSON.stringify([rest, [...scores], [...kinds], chatTemplate]);
}

function formatOf(template: string | undefined, tokenizer: Tokenizer): ChatFormat {
  if (template !== undefined) return chatFormat(template, tokenizer);
  throw new CriaError(
    "bad-input",
    "recipe: chatTemplate: the data hold conversations, and what training starts from has no chat template; expected Jinja " +
      `text, a .jinja file, or one of ${[...builtInTemplates.keys()].join(", ")}`,
  );
}

/** The settings that decide the numbers: another output folder, licence or more samples change nothing. */
function numbersOf(recipe: Recipe): unknown {
  const {
    output: _output,
    name: _name,
    sample: _sample,
    card: _card,
    sampling: _sampling,
    checkpoint: _checkpoint,
    ...rest
  } = recipe;
  const { validateEvery: _every, validationWindows: _windows, type: _type, ...numbers } = rest;
  return { ...numbers, data: recipe.data.map(({ license: _license, ...source }) => source) };
}

/** What earlier tries that were killed left half-written: models can be large. Checkpoints see to their own. */
async function removeHalfWritten(output: string): Promise<void> {
  for (const folder of [output, join(output, "adapter"), join(output, "tokens")])
    for (const name of (await nodeFiles.list(folder)) ?? [])
      if (/\.[0-9a-f]{12}\.tmp$/.test(name) || (folder === output && name === "sample.gguf"))
        await nodeRun.remove(join(folder, name));
}

/** Writes what was trained; gives its name in the folder. */
async function writeResult(recipe: Recipe, start: Start, { store }: Session): Promise<string> {
  if (recipe.kind !== "pretrain" && recipe.lora) {
    const adapter = await trainedAdapter(store, recipe.name, recipe.lora);
    const base = { config: start.config, name: recipe.base };
    await writeAdapter(adapter, join(recipe.output, "adapter.gguf"), base, nodeFiles);
    await writeAdapter(adapter, join(recipe.output, "adapter"), base, nodeFiles);
    return "adapter.gguf";
  }
  await writeModelTo(recipe, start, { store }, join(recipe.output, "model.gguf"));
  return "model.gguf";
}

async function writeModelTo(
  recipe: Recipe,
  { config, tied, vocabulary, chatTemplate, sampling, weights }: Start,
  { store }: Pick<Session, "store">,
  path: string,
): Promise<void> {
  const template = chatTemplate === undefined ? {} : { chatTemplate };
  const factors = weights?.get(ROPE_FACTORS);
  const model = {
    store,
    config,
    tied,
    vocabulary,
    sampling,
    ...template,
    ...(factors ? { ropeFactors: factors } : {}),
  };
  await writeTrainedModel(model, path, nodeFiles, recipe.type);
}

/** Lets the model as it is now answer the recipe's prompts, through the same files and engine as a user's. */
async function sample(recipe: Recipe, start: Start, session: Session): Promise<Sample[]> {
  if (!recipe.sample) return [];
  const path = join(recipe.output, "sample.gguf");
  try {
    using model = await sampledModel(recipe, start, session, path);
    const samples: Sample[] = [];
    for (const prompt of recipe.sample.prompts) {
      const settings = { maxTokens: recipe.sample.maxTokens, seed: recipe.seed, temperature: 0.7 };
      const generation =
        start.chatTemplate === undefined
          ? model.generate(prompt, settings)
          : model.chat([{ role: "user", content: prompt }], settings);
      samples.push({ prompt, text: (await generation.result()).text });
    }
    return samples;
  } finally {
    await nodeRun.remove(path);
  }
}

/** The trained model, or the base with the adapter that was trained. */
async function sampledModel(recipe: Recipe, start: Start, session: Session, path: string): Promise<Model> {
  const template = start.chatTemplate === undefined ? {} : { chatTemplate: start.chatTemplate };
  if (recipe.kind === "pretrain" || !recipe.lora) {
    await writeModelTo(recipe, start, session, path);
    return load(path);
  }
  const base = { config: start.config, name: recipe.base };
  await writeAdapter(await trainedAdapter(session.store, recipe.name, recipe.lora), path, base, nodeFiles);
  const model = await load(recipe.base, template);
  try {
    await model.useAdapters([{ name: await model.loadAdapter(path) }]);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
