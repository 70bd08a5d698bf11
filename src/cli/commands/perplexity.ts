/** `cria perplexity`: how surprised the model is by a text, as llama.cpp counts it. */
import { type Command, Option } from "commander";
import { type PerplexityResult, perplexity } from "../../evaluate/perplexity.ts";
import { defined } from "../../shared/defined.ts";
import { readTextFile } from "../input.ts";
import { loadNamed } from "../load-named.ts";
import { integer } from "../number-arguments.ts";
import {
  addCacheOptions,
  addDeviceOptions,
  addLoraOption,
  addModelOptions,
  type RunFlags,
} from "../options.ts";
import { ProgressBar } from "../progress-bar.ts";
import { formatInteger } from "../quantities.ts";
import { errorColors, notice, writeJson, writeLine } from "../terminal.ts";

interface Flags extends RunFlags {
  readonly file: string;
  readonly json?: boolean;
}

export function addPerplexityCommand(program: Command): void {
  const command = program.command("perplexity").description("measure how surprised the model is by a text");
  command
    .optionsGroup("Text:")
    .requiredOption("-f, --file <path>", "the text")
    .addOption(
      new Option(
        "-c, --ctx-size <tokens>",
        "tokens in a chunk, of which the second half is scored; 0: the model's context (default: 512)",
      )
        .env("LLAMA_ARG_CTX_SIZE")
        .argParser(integer(0)),
    );
  addDeviceOptions(addLoraOption(addCacheOptions(addModelOptions(command))));
  command
    .optionsGroup("Output:")
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const text = await readTextFile(flags.file);
      using model = await loadNamed(flags);
      const started = performance.now();
      const bar = new ProgressBar("Scoring", formatInteger);
      const result = await perplexity(model, text, {
        ...defined({ chunkLength: flags.ctxSize === 0 ? model.contextLength : flags.ctxSize }),
        onProgress: ({ chunks, chunkCount }) => bar.update(chunks, chunkCount),
      }).finally(() => bar.end());
      report(result, performance.now() - started, flags.json === true);
    });
}

function report(result: PerplexityResult, milliseconds: number, json: boolean): void {
  if (json) {
    writeJson({
      perplexity: result.perplexity,
      standard_error: result.standardError,
      tokens: result.tokenCount,
      chunks: result.chunks,
      ms: milliseconds,
    });
    return;
  }
  // llama.cpp's words and digits, so that scripts read both.
  writeLine(`Final estimate: PPL = ${result.perplexity.toFixed(4)} +/- ${result.standardError.toFixed(5)}`);
  const seconds = (milliseconds / 1000).toFixed(1);
  notice(
    errorColors.dim(
      `${formatInteger(result.tokenCount)} tokens scored in ${result.chunks} chunks, ${seconds} s`,
    ),
  );
}
