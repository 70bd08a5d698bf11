/** Loads the model that the flags name, with a bar while it is downloaded or read. */
import type { Command } from "commander";
import type { Model } from "../generate/model.ts";
import { load } from "../node.ts";
import { given, type RunFlags, requireModel } from "./options.ts";
import { ProgressBar } from "./progress-bar.ts";
import { notice } from "./terminal.ts";

export async function loadNamed(
  command: Command,
  flags: RunFlags & { readonly chatTemplate?: string },
): Promise<Model> {
  const source = requireModel(command, flags.model);
  const downloading = new ProgressBar("Downloading");
  const loading = new ProgressBar("Loading");
  try {
    return await load(source, {
      ...given({
        tokenizer: flags.tokenizer,
        chatTemplate: flags.chatTemplate,
        contextLength: flags.ctxSize,
        offline: flags.offline,
        device: flags.device,
        // llama.cpp's -1 and 0 leave it to the program.
        threads: flags.threads !== undefined && flags.threads > 0 ? flags.threads : undefined,
      }),
      onNotice: notice,
      onDownload: ({ receivedBytes, totalBytes }) => downloading.update(receivedBytes, totalBytes),
      onProgress: ({ loadedBytes, totalBytes }) => loading.update(loadedBytes, totalBytes),
    });
  } finally {
    downloading.end();
    loading.end();
  }
}
