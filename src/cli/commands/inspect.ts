/** `cria inspect`: what a model file holds and needs, before loading it; also of a remote file. */
import { type Command, Option } from "commander";
import { defined } from "../../shared/defined.ts";
import { describeModel } from "../inspect/describe.ts";
import { metadataLines, reportJson, reportLines, tensorLines } from "../inspect/report.ts";
import { locateModel } from "../locate-model.ts";
import { integer } from "../number-arguments.ts";
import { addCacheOptions, addModelOptions, cacheOption, type RunFlags, requireModel } from "../options.ts";
import { formatBytes } from "../quantities.ts";
import { errorColors, notice, outputColors, writeJson, writeLine } from "../terminal.ts";

interface Flags extends Omit<RunFlags, "threads" | "device" | "lora"> {
  readonly tensors?: boolean;
  readonly metadata?: boolean;
  readonly json?: boolean;
}

export function addInspectCommand(program: Command): void {
  const command = program
    .command("inspect")
    .description("show what a model file holds and needs, without loading or downloading it")
    .argument("[model]", "the same as -m; an https:// address too");
  addModelOptions(command).addOption(
    new Option("-c, --ctx-size <tokens>", "reckon memory for this context; 0: the model's own")
      .env("LLAMA_ARG_CTX_SIZE")
      .argParser(integer(0)),
  );
  addCacheOptions(command);
  command
    .optionsGroup("Output:")
    .option("--tensors", "list all tensors")
    .option("--metadata", "list all settings")
    .option("--json", "print one JSON object")
    .action(async (name: string | undefined, flags: Flags) => {
      const location = await locateModel(requireModel(command, name ?? flags.model), flags.offline === true);
      const options = defined({
        contextLength: flags.ctxSize,
        cacheFormat: cacheOption(flags),
        tokenizer: flags.tokenizer,
      });
      const description = await describeModel(location.path, location.files, options);
      const fetched = location.fetchedBytes();
      if (flags.json) {
        const all = { tensors: flags.tensors === true, metadata: flags.metadata === true };
        writeJson({ ...(reportJson(description, all) as object), ...defined({ fetchedBytes: fetched }) });
        return;
      }
      writeLine(outputColors.bold(location.path));
      writeLine(reportLines(description));
      if (flags.metadata) writeLine(`\n${metadataLines(description)}`);
      if (flags.tensors) writeLine(`\n${tensorLines(description)}`);
      if (fetched !== undefined) notice(errorColors.dim(`${formatBytes(fetched)} fetched`));
    });
}
