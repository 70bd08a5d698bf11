/**
 * The card of a trained model: what it is, what it learned from, how, with what result and at what cost.
 *
 *   energy = hours · watts      carbon = energy · intensity      as in Llama 2's card (arXiv 2307.09288, table 2)
 *
 * Flow: recipe, figures of the run → modelCard → README.md beside the model.
 */
import { stringify } from "yaml";
import type { ModelConfig } from "../model/config.ts";
import type { Recipe } from "./recipe.ts";

export interface CardFigures {
  readonly config: ModelConfig;
  /** Trained values. */
  readonly parameters: number;
  /** Tokens that went through the model, repetitions included. */
  readonly tokens: number;
  readonly seconds: number;
  /** Of the last step; null where it had no token to learn. */
  readonly loss: number | null;
  /** Of the last validation, by name. */
  readonly validation: Readonly<Record<string, number>>;
  /** Samples of the last step. */
  readonly samples: readonly { readonly prompt: string; readonly text: string }[];
  /** ISO date. */
  readonly date: string;
}

/** What a processor with this many threads at work is taken to draw. */
const WATTS = 30;
/** Kilograms of CO₂ a kilowatt-hour: what Llama 2's card implies. */
const INTENSITY = 0.42;

/** Markdown with the metadata block that model hubs read. */
export function modelCard(recipe: Recipe, figures: CardFigures): string {
  const { card } = recipe;
  const hours = figures.seconds / 3600;
  const energy = (hours * WATTS) / 1000;
  const head = stringify({
    ...(card?.license ? { license: card.license } : {}),
    ...(recipe.kind === "pretrain" && recipe.base === undefined
      ? {}
      : { base_model: (recipe as { base?: string }).base }),
    language: "en",
    library_name: "cria",
    pipeline_tag: "text-generation",
  }).trim();
  const { config } = figures;
  const shape = [
    `${config.layerCount} layers of width ${config.width}`,
    `${config.headCount} heads (${config.kvHeadCount} for keys and values)`,
    `feed-forward ${config.feedForwardLength}`,
    `vocabulary ${config.vocabularySize}`,
    `context ${config.contextLength}`,
  ];
  const measured = Object.entries({ "training loss, last step": figures.loss, ...named(figures.validation) });
  // Without the last digits of a product of floats: 7 and not 7.000000000000001.
  const heldOut = Number((recipe.validation * 100).toPrecision(12));
  return [
    `---\n${head}\n---\n`,
    `# ${recipe.name}\n`,
    ...(card?.notes ?? []).map((note) => `${note}\n`),
    `- Shape: ${shape.join(", ")}; ${figures.parameters.toLocaleString("en-US")} trained values`,
    `- Training: ${recipe.kind}, ${recipe.steps} steps, ${figures.tokens.toLocaleString("en-US")} tokens (repetitions included), ${figures.date}`,
    `- Weights written as ${recipe.type}\n`,
    "## Data\n",
    ...dataLines(recipe).map((line) => `- ${line}`),
    `\n${heldOut} % of the documents were held out.\n`,
    "## Results\n",
    "| figure | value |\n|---|---|",
    ...measured.map(([name, value]) => `| ${name} | ${value?.toFixed(4) ?? "–"} |`),
    "\n## Cost\n",
    `${hours.toFixed(2)} hours on a processor; at ${WATTS} W an estimated ${energy.toPrecision(2)} kWh and ${(energy * INTENSITY).toPrecision(2)} kg of CO₂ (${INTENSITY} kg a kWh).\n`,
    ...(figures.samples.length > 0 ? ["## Samples\n", ...figures.samples.map(sampleBlock)] : []),
    "## Recipe\n",
    `\`\`\`yaml\n${stringify(recipe).trim()}\n\`\`\`\n`,
  ].join("\n");
}

/** What the recipe says of its data in words, or its files with their licences. */
function dataLines({ card, data }: Recipe): readonly string[] {
  if (card && card.data.length > 0) return card.data;
  return data.map(({ path, license }) => `${path}: ${license ?? "its licence is not stated in the recipe"}`);
}

function named(validation: Readonly<Record<string, number>>): Record<string, number> {
  const worded = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(validation).map(([name, value]) => [`held-out ${worded(name)}`, value]),
  );
}

function sampleBlock({ prompt, text }: { readonly prompt: string; readonly text: string }): string {
  return `**${prompt}**\n\n> ${text.trim().replaceAll("\n", "\n> ")}\n`;
}
