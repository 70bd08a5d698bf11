/** Runs a recipe with its progress on standard error. */
import { type TrainRecipeOptions, trainRecipe } from "../../platform/node/training/train-recipe.ts";
import { CriaError } from "../../shared/errors.ts";
import type { Recipe } from "../../train/recipe.ts";
import { formatBytes, formatCount, formatInteger } from "../quantities.ts";
import { ProgressLine } from "./progress-line.ts";

export async function runRecipe(
  recipe: Recipe,
  options: Pick<TrainRecipeOptions, "resume" | "threads" | "signal">,
): Promise<void> {
  const progress = new ProgressLine();
  /** The last step that is done. */
  let done = 0;
  const at = (step: number): string => `step ${formatInteger(step)}`;
  try {
    const path = await trainRecipe(recipe, {
      ...options,
      onNotice: (line) => progress.say(line),
      onStart({ step, parameters, memory, program, data }) {
        progress.say(`${formatCount(parameters)} parameters, ${data}`);
        const parts = (["base", "weights", "gradients", "optimizer", "activations"] as const)
          .filter((part) => memory[part] > 0)
          .map((part) => `${part} ${formatBytes(memory[part])}`);
        const total = formatBytes(memory.total + program);
        progress.say(`Memory: ${total} (program ${formatBytes(program)}, ${parts.join(", ")})`);
        done = step;
        if (step > 0) progress.say(`Going on from ${at(step)}`);
      },
      onStep(metrics) {
        done = metrics.step;
        progress.update(metrics);
      },
      onValidation(step, figures) {
        const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(4)}`);
        progress.say(`${at(step)}  held out: ${shown.join(", ")}`);
      },
      onSamples(step, samples) {
        for (const { prompt, text } of samples)
          progress.say(`${at(step)}  ${prompt}\n    ${text.trim().replaceAll("\n", "\n    ")}`);
      },
    });
    progress.end();
    const peak = formatBytes(process.resourceUsage().maxRSS * 1024);
    progress.say(`${path} written, with its card (README.md) and report.html; ${peak} of memory at the peak`);
  } catch (error) {
    if (error instanceof CriaError && error.code === "aborted" && done > 0) {
      progress.end();
      progress.say(`Stopped after ${at(done)}; go on with --resume`);
    }
    throw error;
  } finally {
    progress.end();
  }
}
