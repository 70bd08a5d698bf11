/** `cria train`: pretrains, tunes and aligns models by a recipe, and trains tokenizers. */
import type { Command } from "commander";
import { trainTokenizerOn } from "../../platform/node/training/train-tokenizer.ts";
import { interruptible } from "../interrupt.ts";
import { collect, decimal, integer } from "../number-arguments.ts";
import { ProgressBar } from "../progress-bar.ts";
import { formatCount, formatInteger } from "../quantities.ts";
import { notice } from "../terminal.ts";
import { type RecipeFlags, readRecipe } from "../train/read-recipe.ts";
import { runRecipe } from "../train/run-recipe.ts";

interface Flags extends RecipeFlags {
  readonly resume?: boolean;
  readonly threads?: number;
}

const kinds = {
  pretrain: "learn a language from text, from random weights or a model",
  sft: "learn to answer from conversations, with all weights or with adapters",
  dpo: "learn which answers are preferred",
} as const;

export function addTrainCommand(program: Command): void {
  const train = program.command("train").description("train a model by a recipe, or a tokenizer");
  addTokenizerCommand(train);
  for (const [kind, description] of Object.entries(kinds)) {
    const command = train
      .command(kind)
      .description(description)
      .argument("[recipe]", "a YAML file (see docs/training.md); without one, settings come from the options")
      .option("--resume", "go on from the newest checkpoint in the output folder")
      .option("-t, --threads <n>", "threads; default: those of the machine", integer(1))
      .option("-v, --verbose", "show the stack of errors");
    addSettings(command, kind).action(async (path: string | undefined, flags: Flags) => {
      const recipe = await readRecipe(kind, path, flags);
      await interruptible((signal) =>
        runRecipe(recipe, {
          resume: flags.resume === true,
          signal,
          ...(flags.threads === undefined || flags.threads <= 0 ? {} : { threads: flags.threads }),
        }),
      );
    });
  }
}

/** The settings that have an option of their own; each replaces the recipe's. */
function addSettings(command: Command, kind: string): Command {
  command
    .optionsGroup("Settings:")
    .option("-o, --output <folder>", "the run's folder")
    .option("--name <name>", "what the model is called; default: the folder's name")
    .option("--data <file>", "what to learn from; repeatable", collect)
    .option("--base <model>", "the model to start from")
    .option("--steps <n>", "how many steps", integer(1))
    .option("--rate <n>", "the peak of the learning rate", decimal(0))
    .option("--windows <n>", "windows of a batch", integer(1))
    .option("--length <n>", "tokens of a window", integer(1));
  if (kind === "pretrain") command.option("--tokenizer <file>", "the tokenizer of a new model");
  else command.option("--lora <rank>", "train adapters of this rank instead of all weights", integer(1));
  return command.option(
    "--set <setting=value>",
    "any setting of the recipe, such as schedule.warmup=20; repeatable",
    collect,
    [],
  );
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
        }).finally(() => bar.end());
        notice(`${output} written: ${formatInteger(pieces.length)} pieces`);
      });
    });
}
