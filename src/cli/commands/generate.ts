/**
 * `cria generate`: continues a text.
 *
 * Into a pipe goes the continuation and nothing else; on a terminal the prompt stands dimmed before it and the timings
 * come after it, on standard error.
 */
import { type Command, Option } from "commander";
import type { GeneratedToken, GenerationResult } from "../../generate/generate.ts";
import type { Model, PromptOptions } from "../../generate/model.ts";
import { defined } from "../../shared/defined.ts";
import { addConstraintOptions, type ConstraintFlags, constraintOf } from "../constraint-options.ts";
import { addInputOptions, type InputFlags, inputText } from "../input.ts";
import { breathe } from "../interrupt.ts";
import { loadNamed } from "../load-named.ts";
import { integer } from "../number-arguments.ts";
import {
  type AnswerFlags,
  addAnswerOptions,
  addRunOptions,
  answerOptions,
  type RunFlags,
} from "../options.ts";
import { ProgressBar } from "../progress-bar.ts";
import { addPromptCacheOption, type PromptCacheFlags, withPromptCache } from "../prompt-cache.ts";
import { formatInteger } from "../quantities.ts";
import { errorColors, notice, outputColors, writeJson, writeOutput } from "../terminal.ts";
import { timingLine } from "../timing-lines.ts";

interface Flags extends RunFlags, AnswerFlags, InputFlags, ConstraintFlags, PromptCacheFlags {
  readonly parseSpecial?: boolean;
  readonly json?: boolean;
  readonly logprobs?: number;
  readonly promptLogprobs?: boolean;
}

type Alternatives = NonNullable<GeneratedToken["alternatives"]>;

export function addGenerateCommand(program: Command): void {
  const command = program.command("generate").description("continue a text");
  addInputOptions(command.optionsGroup("Prompt:"), "the text to continue").option(
    "--parse-special",
    "read special tokens written in the prompt, such as <s>, as such",
  );
  addPromptCacheOption(addRunOptions(command));
  addAnswerOptions(command);
  addConstraintOptions(command);
  command
    .optionsGroup("Output:")
    .option("--json", "print one JSON object instead of text")
    .addOption(
      new Option(
        "--logprobs <count>",
        "with --json: log-probabilities of this many alternatives to each token",
      ).argParser(integer(0, 1000)),
    )
    .option("--prompt-logprobs", "with --json: log-probabilities of the prompt's tokens")
    .action(async (flags: Flags) => {
      if (!flags.json && (flags.logprobs !== undefined || flags.promptLogprobs))
        command.error("error: --logprobs and --prompt-logprobs need --json", { exitCode: 2 });
      const prompt = await inputText(command, flags);
      const constraint = await constraintOf(flags);
      using model = await loadNamed(flags);
      const options = {
        ...answerOptions(flags),
        parseSpecial: flags.parseSpecial === true,
        ...(constraint ? { constraint: constraint(model.tokenizer) } : {}),
      };
      await withPromptCache(model, flags, () =>
        flags.json ? printJson(model, prompt, flags, options) : printText(model, prompt, options),
      );
    });
}

async function printText(model: Model, prompt: string, options: PromptOptions): Promise<void> {
  const onTerminal = process.stdout.isTTY === true;
  if (onTerminal) writeOutput(outputColors.dim(prompt));
  const bar = new ProgressBar("Reading the prompt", formatInteger);
  const generation = model.generate(prompt, {
    ...options,
    onPromptProgress: (done, total) => (done < total ? bar.update(done, total) : bar.end()),
  });
  for await (const { text } of generation.tokens()) {
    writeOutput(text);
    await breathe();
  }
  const { timings } = await generation.result();
  if (onTerminal) writeOutput("\n");
  if (onTerminal && process.stderr.isTTY) notice(errorColors.dim(timingLine(timings)));
}

async function printJson(model: Model, prompt: string, flags: Flags, options: PromptOptions): Promise<void> {
  const alternatives: Alternatives[] = [];
  const generation = model.generate(prompt, {
    ...options,
    logProbabilities: flags.logprobs ?? 0,
    promptLogProbabilities: flags.promptLogprobs === true,
  });
  for await (const token of generation.tokens()) {
    if (token.logProbability !== undefined) alternatives.push(token.alternatives ?? []);
  }
  const result = await generation.result();
  writeJson({
    ...jsonOf(result),
    ...(flags.logprobs
      ? {
          top_log_probabilities: alternatives.map((list) => list.map((entry) => alternativeOf(model, entry))),
        }
      : {}),
    model: model.name,
    model_hash: await model.hash(),
  });
}

/** A result under the names of llama.cpp's and OpenAI's JSON. */
function jsonOf(result: GenerationResult): Record<string, unknown> {
  return defined({
    text: result.text,
    ids: result.ids,
    prompt_ids: result.promptIds,
    log_probabilities: result.logProbabilities,
    // The first prompt token follows nothing: JSON writes its NaN as null.
    prompt_log_probabilities: result.promptLogProbabilities,
    finish_reason: result.finishReason,
    timings: result.timings,
  });
}

function alternativeOf(model: Model, { id, logProbability }: Alternatives[number]): Record<string, unknown> {
  return { id, piece: model.tokenizer.pieceOf(id), log_probability: logProbability };
}
