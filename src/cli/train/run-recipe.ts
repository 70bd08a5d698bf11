/**
 * Runs a recipe from the command line: opens what it names, trains, and fills the run's folder.
 *
 * Flow: commands/train.ts → runRecipe → train/run.ts → model, card, report.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createWasmDevice } from "../../devices/wasm/device.ts";
import { chatFormat } from "../../generate/chat-format/detect.ts";
import { writeAdapter } from "../../model/adapter.ts";
import { openCheckpoint } from "../../model/checkpoint.ts";
import { readVocabulary } from "../../model/companions.ts";
import type { ModelConfig } from "../../model/config.ts";
import type { ModelWeights } from "../../model/weights.ts";
import { load } from "../../node.ts";
import { nodeFiles } from "../../platform/node/file-system.ts";
import { hashFiles } from "../../platform/node/hash.ts";
import { resolveModel } from "../../platform/node/hub/resolve.ts";
import { nodeRun } from "../../platform/node/run-platform.ts";
import { startThread, threadLimit } from "../../platform/node/threads.ts";
import { CriaError } from "../../shared/errors.ts";
import { createTokenizer } from "../../tokenizer/create-tokenizer.ts";
import type { Vocabulary } from "../../tokenizer/vocabulary.ts";
import { modelCard } from "../../train/card.ts";
import { trainedAdapter } from "../../train/lora.ts";
import type { PretrainRecipe, Recipe } from "../../train/recipe.ts";
import { type MetricsLine, report } from "../../train/report.ts";
import { runTraining } from "../../train/run.ts";
import type { Session } from "../../train/session.ts";
import { scalarEvent, versionEvent } from "../../train/tensorboard.ts";
import type { StepMetrics } from "../../train/trainer.ts";
import { writeTrainedModel } from "../../train/write-trained.ts";
import { formatBytes, formatCount, formatInteger } from "../quantities.ts";
import { type OpenedData, openRunData } from "./open-data.ts";
import { ProgressLine } from "./progress-line.ts";

export interface RunFlags {
  readonly resume: boolean;
  readonly threads?: number;
  readonly signal: AbortSignal;
}

/** What a recipe starts from. */
interface Start {
  readonly config: ModelConfig;
  readonly tied: boolean;
  readonly weights?: ModelWeights;
  readonly vocabulary: Vocabulary;
  readonly chatTemplate?: string;
  /** Of the base's files, for the fingerprint. */
  readonly paths: readonly string[];
  close(): Promise<void>;
}

export async function runRecipe(recipe: Recipe, flags: RunFlags): Promise<void> {
  const start = await openStart(recipe);
  const device = await createWasmDevice({ startThread, threadCount: flags.threads ?? threadLimit() });
  const progress = new ProgressLine();
  let opened: OpenedData | undefined;
  try {
    await mkdir(recipe.output, { recursive: true });
    const tokenizer = createTokenizer(start.vocabulary);
    const template = start.chatTemplate;
    const data = await openRunData(recipe, {
      tokenizer,
      encoding: JSON.stringify([start.vocabulary.pieces, [...start.vocabulary.scores], template ?? ""]),
      chatFormat: () => chatFormat(template, tokenizer),
      length: recipe.batch.length ?? start.config.contextLength,
      cacheFolder: join(recipe.output, "tokens"),
      signal: flags.signal,
      say: (line) => progress.say(line),
    });
    opened = data;
    const log = new RunLog(recipe, progress);
    await log.open();
    await runTraining({
      recipe,
      config: start.config,
      tied: start.tied,
      ...(start.weights ? { weights: start.weights } : {}),
      data: data.batches,
      device,
      platform: nodeRun,
      fingerprint: JSON.stringify([numbersOf(recipe), data.fingerprint, await hashFiles(start.paths)]),
      resume: flags.resume,
      signal: flags.signal,
      onStart: ({ step, memory, parameters }) => {
        progress.say(`${formatCount(parameters)} parameters, ${data.description}`);
        const parts = (["base", "weights", "gradients", "optimizer", "activations"] as const)
          .filter((part) => memory[part] > 0)
          .map((part) => `${part} ${formatBytes(memory[part])}`);
        progress.say(`Memory: ${formatBytes(memory.total)} (${parts.join(", ")})`);
        if (step > 0) progress.say(`Going on from step ${formatInteger(step)}`);
      },
      onStep: (metrics) => log.step(metrics),
      onValidation: (step, figures) => log.validation(step, figures),
      onSample: (step, session) => sample(recipe, start, session, step, log),
      finish: async (session) => {
        progress.end();
        const name = await writeResult(recipe, start, session);
        await log.writeCard(start.config, session.store.valueCount);
        await log.writeReport();
        progress.say(`${join(recipe.output, name)} written, with its card (README.md) and report.html`);
      },
    });
  } finally {
    progress.end();
    device.dispose();
    await opened?.close();
    await start.close();
  }
}

/** The settings that decide the numbers: another output folder or more samples change nothing. */
function numbersOf(recipe: Recipe): unknown {
  const {
    output: _output,
    name: _name,
    sample: _sample,
    card: _card,
    checkpoint: _checkpoint,
    ...rest
  } = recipe;
  const { validateEvery: _every, validationWindows: _windows, type: _type, ...numbers } = rest;
  return numbers;
}

async function openStart(recipe: Recipe): Promise<Start> {
  if (recipe.kind === "pretrain" && recipe.model) return newModel(recipe);
  const path = await resolveModel(recipe.base ?? "", {});
  const checkpoint = await openCheckpoint(
    path,
    nodeFiles,
    recipe.kind === "pretrain" ? recipe.tokenizer : undefined,
  );
  if (!checkpoint.vocabulary) {
    await checkpoint.file.close();
    throw new CriaError("not-found", `${path}: no tokenizer in the model or beside it`);
  }
  const template = await templateOf(recipe, checkpoint.chatTemplate);
  return {
    config: { ...checkpoint.config, name: recipe.name },
    tied: !checkpoint.weights.has("output.weight"),
    weights: checkpoint.weights,
    vocabulary: checkpoint.vocabulary,
    ...(template === undefined ? {} : { chatTemplate: template }),
    paths: checkpoint.file.paths,
    close: () => checkpoint.file.close(),
  };
}

async function newModel(recipe: PretrainRecipe): Promise<Start> {
  const { model } = recipe;
  if (!model || recipe.tokenizer === undefined)
    throw new CriaError("bad-input", "recipe: a new model needs a tokenizer: name its file");
  if (model.width % model.heads !== 0 || model.heads % (model.kvHeads ?? model.heads) !== 0)
    throw new CriaError(
      "bad-input",
      `recipe: model: ${model.heads} heads must divide the width ${model.width}, and ${model.kvHeads ?? model.heads} key/value heads the heads`,
    );
  const vocabulary = await readVocabulary(recipe.tokenizer, nodeFiles);
  const headLength = model.width / model.heads;
  const template = await templateOf(recipe, undefined);
  return {
    config: {
      name: recipe.name,
      vocabularySize: vocabulary.pieces.length,
      contextLength: model.context,
      width: model.width,
      layerCount: model.layers,
      feedForwardLength: model.feedForward,
      headCount: model.heads,
      kvHeadCount: model.kvHeads ?? model.heads,
      headLength,
      ropeLength: headLength,
      normEpsilon: model.normEpsilon,
      ropeBase: model.ropeBase,
      ropeScaling: { type: "none" },
      slidingWindow: 0,
    },
    tied: model.tied,
    vocabulary,
    ...(template === undefined ? {} : { chatTemplate: template }),
    paths: [],
    close: async () => {},
  };
}

/** The recipe's template: Jinja text, a built-in name, or the path of a .jinja file. */
async function templateOf(recipe: Recipe, own: string | undefined): Promise<string | undefined> {
  const { chatTemplate } = recipe;
  if (chatTemplate?.endsWith(".jinja")) return readFile(chatTemplate, "utf8");
  return chatTemplate ?? own;
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
  { config, tied, vocabulary, chatTemplate }: Start,
  { store }: Pick<Session, "store">,
  path: string,
): Promise<void> {
  const template = chatTemplate === undefined ? {} : { chatTemplate };
  await writeTrainedModel({ store, config, tied, vocabulary, ...template }, path, nodeFiles, recipe.type);
}

/** Lets the model as it is now answer the recipe's prompts, through the same file and engine as a user's. */
async function sample(
  recipe: Recipe,
  start: Start,
  session: Session,
  step: number,
  log: RunLog,
): Promise<void> {
  if (!recipe.sample || (recipe.kind !== "pretrain" && recipe.lora)) return;
  const path = join(recipe.output, "sample.gguf");
  await writeModelTo(recipe, start, session, path);
  using model = await load(path);
  const samples: { prompt: string; text: string }[] = [];
  for (const prompt of recipe.sample.prompts) {
    const options = { maxTokens: recipe.sample.maxTokens, seed: recipe.seed, temperature: 0.7 };
    const generation =
      start.chatTemplate === undefined
        ? model.generate(prompt, options)
        : model.chat([{ role: "user", content: prompt }], options);
    samples.push({ prompt, text: (await generation.result()).text });
  }
  await log.samples(step, samples);
}

/** What a run leaves to read: metrics (run.ts writes their lines), events, samples, card and report. */
class RunLog {
  readonly #recipe: Recipe;
  readonly #progress: ProgressLine;
  readonly #events: string;
  readonly #metrics: string;

  constructor(recipe: Recipe, progress: ProgressLine) {
    this.#recipe = recipe;
    this.#progress = progress;
    this.#metrics = join(recipe.output, "metrics.jsonl");
    this.#events = join(recipe.output, `events.out.tfevents.${Math.floor(Date.now() / 1000)}.cria`);
  }

  async open(): Promise<void> {
    await writeFile(this.#events, versionEvent(Date.now() / 1000), { flag: "a" });
  }

  step(metrics: StepMetrics): void {
    this.#progress.update(metrics);
    const { step, loss, rate, norm, tokens, seconds, extra = {} } = metrics;
    this.#event(step, { loss, rate, norm, tokensPerSecond: tokens / seconds, ...extra });
  }

  validation(step: number, figures: Readonly<Record<string, number>>): void {
    const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(4)}`);
    this.#progress.say(`step ${formatInteger(step)}  held out: ${shown.join(", ")}`);
    this.#event(
      step,
      Object.fromEntries(Object.entries(figures).map(([name, value]) => [`heldOut/${name}`, value])),
    );
  }

  async samples(step: number, samples: readonly { prompt: string; text: string }[]): Promise<void> {
    await nodeRun.appendLine(this.#metrics, JSON.stringify({ step, samples }));
    for (const { prompt, text } of samples)
      this.#progress.say(
        `step ${formatInteger(step)}  ${prompt}\n    ${text.trim().replaceAll("\n", "\n    ")}`,
      );
  }

  async writeCard(config: ModelConfig, parameters: number): Promise<void> {
    const lines = await this.#lines();
    const steps = lines.filter((line) => line.loss !== undefined);
    const card = modelCard(this.#recipe, {
      config,
      parameters,
      tokens: steps.reduce((sum, { tokens = 0 }) => sum + tokens, 0),
      seconds: steps.reduce((sum, { seconds = 0 }) => sum + seconds, 0),
      loss: steps.at(-1)?.loss ?? Number.NaN,
      validation: lines.findLast((line) => line.validation)?.validation ?? {},
      samples: lines.findLast((line) => line.samples)?.samples ?? [],
      date: new Date().toISOString().slice(0, 10),
    });
    await writeFile(join(this.#recipe.output, "README.md"), card);
  }

  async writeReport(): Promise<void> {
    const require = createRequire(import.meta.url);
    const folder = join(require.resolve("uplot"), "..");
    const plotter = {
      script: await readFile(join(folder, "uPlot.iife.min.js"), "utf8"),
      style: await readFile(join(folder, "uPlot.min.css"), "utf8"),
    };
    await writeFile(
      join(this.#recipe.output, "report.html"),
      report(this.#recipe.name, await this.#lines(), plotter),
    );
  }

  #event(step: number, scalars: Readonly<Record<string, number>>): void {
    // Not waited for: a line of curves must not hold up a step.
    writeFile(this.#events, scalarEvent(Date.now() / 1000, step, scalars), { flag: "a" }).catch(() => {});
  }

  async #lines(): Promise<MetricsLine[]> {
    const text = await readFile(this.#metrics, "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as MetricsLine);
  }
}
