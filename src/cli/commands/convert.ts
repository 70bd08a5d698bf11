/** `cria convert`: writes a model in another format of file, or with weights of another type. */
import { type Command, Option } from "commander";
import { type ConvertType, convertModel, convertTypes } from "../../model/convert.ts";
import { nodeFiles } from "../../platform/node/file-system.ts";
import { resolveModel } from "../../platform/node/hub/resolve.ts";
import { defined } from "../../shared/defined.ts";
import { interruptible } from "../interrupt.ts";
import { collect } from "../number-arguments.ts";
import { ProgressBar } from "../progress-bar.ts";
import { notice } from "../terminal.ts";

interface Flags {
  readonly type: ConvertType;
  readonly tokenizer?: string;
  readonly lora: readonly string[];
  readonly offline?: boolean;
}

export function addConvertCommand(program: Command): void {
  const command = program
    .command("convert")
    .description("write a model as GGUF or safetensors")
    .argument("<in>", "a model file, folder or name")
    .argument("<out>", "a .gguf file, or a folder for safetensors")
    .addOption(
      new Option("--type <type>", "how weights are stored; keep: as they are")
        .choices([...convertTypes])
        .default("keep"),
    )
    .option("--tokenizer <file>", "take the tokenizer from this file")
    .option(
      "--lora <adapter>",
      "add an adapter (a GGUF file or a PEFT folder) to the weights; repeatable",
      collect,
      [],
    )
    .option("--offline", "use only what is on this machine")
    .option("-v, --verbose", "show the stack of errors")
    .action(async (input: string, output: string, flags: Flags) => {
      if (output === "" || /\.(bin|pth?|safetensors|json)$/.test(output))
        command.error(
          `error: ${output || "no name to write to"}: expected a name that ends in .gguf, or a folder for safetensors`,
          {
            exitCode: 2,
          },
        );
      await interruptible(async (signal) => {
        const path = await resolveModel(input, { ...defined({ offline: flags.offline }), signal });
        const bar = new ProgressBar("Writing");
        await convertModel(path, output, nodeFiles, {
          type: flags.type,
          ...defined({ tokenizer: flags.tokenizer }),
          adapters: flags.lora,
          signal,
          onProgress: (done, total) => bar.update(done, total),
        }).finally(() => bar.end());
        notice(`${output} written`);
      });
    });
}
