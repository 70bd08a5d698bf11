/**
 * What a run leaves to read beside its model: TensorBoard events, samples, the card and the report. The lines of
 * metrics.jsonl come from train/run.ts.
 */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { ModelConfig } from "../../../model/config.ts";
import { modelCard } from "../../../train/card.ts";
import type { Recipe } from "../../../train/recipe.ts";
import { type MetricsLine, report } from "../../../train/report.ts";
import { scalarEvent, startEvent, versionEvent } from "../../../train/tensorboard.ts";
import type { StepMetrics } from "../../../train/trainer.ts";
import { worded } from "../file-system.ts";
import { nodeRun } from "./run-platform.ts";

/** What a run leaves to read: metrics (run.ts writes their lines), events, samples, card and report. */
export class RunLog {
  readonly #recipe: Recipe;
  readonly #events: string;
  readonly #metrics: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(recipe: Recipe) {
    this.#recipe = recipe;
    this.#metrics = join(recipe.output, "metrics.jsonl");
    this.#events = join(recipe.output, `events.out.tfevents.${Math.floor(Date.now() / 1000)}.cria`);
  }

  async open(): Promise<void> {
    await worded(this.#events, writeFile(this.#events, versionEvent(Date.now() / 1000), { flag: "a" }));
  }

  /** Points of later steps, which a run that was killed wrote after its last checkpoint, will be written again. */
  start(step: number): void {
    this.#append(startEvent(Date.now() / 1000, step === 0 ? 0 : step + 1));
  }

  step(metrics: StepMetrics): void {
    const { step, loss, rate, norm, tokens, seconds, extra = {} } = metrics;
    this.#event(step, { loss, rate, norm, tokensPerSecond: tokens / seconds, ...extra });
  }

  validation(step: number, figures: Readonly<Record<string, number>>): void {
    this.#event(
      step,
      Object.fromEntries(Object.entries(figures).map(([name, value]) => [`heldOut/${name}`, value])),
    );
  }

  async samples(step: number, samples: readonly { prompt: string; text: string }[]): Promise<void> {
    await nodeRun.appendLine(this.#metrics, JSON.stringify({ step, samples }));
  }

  async writeCard(config: ModelConfig, parameters: number): Promise<void> {
    const lines = await this.#lines();
    const steps = lines.filter((line) => line.loss !== undefined);
    const card = modelCard(this.#recipe, {
      config,
      parameters,
      tokens: steps.reduce((sum, { tokens = 0 }) => sum + tokens, 0),
      seconds: steps.reduce((sum, { seconds = 0 }) => sum + seconds, 0),
      loss: steps.at(-1)?.loss ?? null,
      validation: lines.findLast((line) => line.validation)?.validation ?? {},
      samples: lines.findLast((line) => line.samples)?.samples ?? [],
      date: new Date().toISOString().slice(0, 10),
    });
    const paths = [join(this.#recipe.output, "README.md")];
    // A folder for PEFT goes its own way.
    if (this.#recipe.kind !== "pretrain" && this.#recipe.lora)
      paths.push(join(this.#recipe.output, "adapter", "README.md"));
    for (const path of paths) await worded(path, writeFile(path, card));
  }

  async writeReport(): Promise<void> {
    const require = createRequire(import.meta.url);
    const folder = join(require.resolve("uplot"), "..");
    const plotter = {
      script: await readFile(join(folder, "uPlot.iife.min.js"), "utf8"),
      style: await readFile(join(folder, "uPlot.min.css"), "utf8"),
    };
    const path = join(this.#recipe.output, "report.html");
    await worded(path, writeFile(path, report(this.#recipe.name, await this.#lines(), plotter)));
  }

  #event(step: number, scalars: Readonly<Record<string, number>>): void {
    // A step without a token to learn has neither loss nor norm.
    const known = Object.entries(scalars).filter(([, value]) => !Number.isNaN(value));
    this.#append(scalarEvent(Date.now() / 1000, step, Object.fromEntries(known)));
  }

  #append(event: Uint8Array): void {
    // One after the other, but not waited for: a point of a curve must not hold up a step, nor end a run.
    this.#writing = this.#writing.then(() => appendFile(this.#events, event)).catch(() => {});
  }

  async #lines(): Promise<MetricsLine[]> {
    const text = await readFile(this.#metrics, "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as MetricsLine);
  }
}
