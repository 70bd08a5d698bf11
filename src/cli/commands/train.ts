/** `cria train`: pretrains, tunes and aligns models by a recipe, and trains tokenizers. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { trainTokenizerOn } from "../../platform/node/training/train-tokenizer.ts";
import { CriaError } from "../../shared/errors.ts";
import { parseRecipe } from "../../train/recipe.ts";
import { interruptible } from "../interrupt.ts";
import { collect, integer } from "../number-arguments.ts";
import { ProgressBar } from "../progress-bar.ts";
import { formatCount, formatInteger } from "../quantities.ts";
import { notice } from "../terminal.ts";
import { runRecipe } from "../train/run-recipe.ts";

interface Flags {
  readonly resume?: boolean;
  readonly threads?: number;
  readonly set: readonly string[];
  readonly output?: string;
  readonly base?: string;
  readonly steps?: number;
}

const kinds = {
  pretrain: "learn a language from text, from random weights or a model",
  sft: "learn to answer from conversations, with all weights or with adapters",
  dpo: "learn which answers are preferred",
} as const;

export function addTrainCommand(program: Command): void {
  const train = program.command("train").description("train a model by a recipe, or a tokenizer");
  addTokenizerCommand(train);
  for (const [kind, description] of Object.entries(kinds))
    train
      .command(kind)
      .description(description)
      .argument("<recipe>", "a YAML file (see docs/training.md)")
      .option("--resume", "go on from the newest checkpoint in the output folder")
      .option("-o, --output <folder>", "the run's folder, instead of the recipe's")
      .option("--base <model>", "the model to start from, instead of the recipe's")
      .option("--steps <n>", "how many steps", integer(1))
      .option(
        "--set <setting=value>",
        "change a setting, such as schedule.rate=1e-3; repeatable",
        collect,
        [],
      )
      .option("-t, --threads <n>", "threads; default: those of the machine", integer(1))
      .option("-v, --verbose", "show the stack of errors")
      .action(async (path: string, flags: Flags) => {
        const recipe = parseRecipe(await readRecipe(path), path, {
          ...Object.fromEntries(flags.set.map(changeOf)),
          ...named("output", flags.output),
          ...named("base", flags.base),
          ...named("steps", flags.steps),
        });
        if (recipe.kind !== kind)
          throw new CriaError(
            "bad-input",
            `${path}: a recipe for ${recipe.kind}; run: cria train ${recipe.kind} ${path}`,
          );
        await interruptible((signal) =>
          runRecipe(recipe, {
            resume: flags.resume === true,
            signal,
            ...(flags.threads === undefined || flags.threads <= 0 ? {} : { threads: flags.threads }),
          }),
        );
      });
}

interface TokenizerFlags {
  readonly vocabulary: number;
  readonly control: readonly string[];
  readonly output: string;
}

function addTokenizerCommand(train: Command): void {
  train
    .command("tokenizer")
    .description("learn the pieces of a vocabulary from text (SentencePiece byte-pair encoding)")
    .argument("<data...>", "text, JSONL, JSON, CSV or Parquet files")
    .requiredOption("--vocabulary <n>", "pieces in all", integer(300))
    .option("--control <symbol>", "a control token such as <|user|>; repeatable", collect, [])
    .option("-o, --output <file>", "where to write it", "tokenizer.model")
    .option("-v, --verbose", "show the stack of errors")
    .action(async (paths: string[], { vocabulary, control, output }: TokenizerFlags) => {
      const bar = new ProgressBar("Learning", formatCount);
      await interruptible(async (signal) => {
        const { pieces } = await trainTokenizerOn(paths, output, {
          vocabularySize: vocabulary,
          controlSymbols: control,
          signal,
          onProgress: ({ done, total }) => bar.update(done, total ?? done),
        });
        bar.end();
        notice(`${output} written: ${formatInteger(pieces.length)} pieces`);
      });
    });
}

async function readRecipe(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause: unknown) => {
    throw new CriaError("not-found", `${path}: no such recipe`, { cause });
  });
}

/** `schedule.rate=1e-3`; values are JSON where they can be, else text. */
function changeOf(text: string): [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new CriaError("bad-input", `--set: expected setting=value, got ${JSON.stringify(text)}`);
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value)];
  } catch {
    return [text.slice(0, at), value];
  }
}

function named(key: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [key]: value };
}
