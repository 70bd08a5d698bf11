/** `cria pull`: downloads a model from the Hugging Face hub into its cache, or brings it up to date. */
import type { Command } from "commander";
import { pullModel } from "../../platform/node/hub/pull.ts";
import { interruptible } from "../interrupt.ts";
import { ProgressBar } from "../progress-bar.ts";
import { formatBytes, plural } from "../quantities.ts";
import { notice, writeLine } from "../terminal.ts";

export function addPullCommand(program: Command): void {
  program
    .command("pull")
    .description("download a model from the Hugging Face hub; prints where it is")
    .argument(
      "<name>",
      "hf:user/repo, hf:user/repo:QUANT or hf:user/repo/file.gguf; @revision at the end if wanted",
    )
    .option("-v, --verbose", "show the stack of errors")
    .action(async (name: string) => {
      await interruptible(async (signal) => {
        const bar = new ProgressBar("Downloading");
        let current = "";
        try {
          const model = await pullModel(name, {
            signal,
            onDownload: ({ file, receivedBytes, totalBytes }) => {
              // Without a terminal to draw on: a line for each file.
              if (file !== current && !process.stderr.isTTY) notice(file);
              current = file;
              bar.update(receivedBytes, totalBytes);
            },
          });
          bar.end();
          notice(`${plural(model.files.length, "file")}, ${formatBytes(model.bytes)}`);
          writeLine(model.path);
        } finally {
          bar.end();
        }
      });
    });
}
