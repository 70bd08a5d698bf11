/** Loads the model that the flags name, with a bar while it is downloaded or read. */
import type { Model } from "../generate/model.ts";
import { load } from "../node.ts";
import { defined } from "../shared/defined.ts";
import { cacheOption, type RunFlags } from "./options.ts";
import { ProgressBar } from "./progress-bar.ts";
import { errorColors, notice } from "./terminal.ts";

export async function loadNamed(
  flags: RunFlags & { readonly chatTemplate?: string; readonly sequences?: number },
): Promise<Model> {
  const source = flags.model || undefined;
  if (source === undefined)
    notice(
      errorColors.dim("The model that comes with Cria: it tells small stories. Name a real one with -m."),
    );
  const downloading = new ProgressBar("Downloading");
  const loading = new ProgressBar("Loading");
  try {
    const model = await load(source, {
      ...defined({
        tokenizer: flags.tokenizer,
        chatTemplate: flags.chatTemplate,
        contextLength: flags.ctxSize,
        cacheFormat: cacheOption(flags),
        offline: flags.offline,
        device: flags.device,
        sequences: flags.sequences,
        // llama.cpp's -1 and 0 leave it to the program.
        threads: flags.threads !== undefined && flags.threads > 0 ? flags.threads : undefined,
      }),
      onNotice: notice,
      onDownload: ({ receivedBytes, totalBytes }) => downloading.update(receivedBytes, totalBytes),
      onProgress: ({ loadedBytes, totalBytes }) => loading.update(loadedBytes, totalBytes),
    });
    try {
      // By their paths: what training writes is called adapter.gguf every time.
      const adapters = (flags.lora ?? []).map((name) => ({ name }));
      for (const { name } of adapters) await model.loadAdapter(name, { name });
      if (adapters.length > 0) await model.useAdapters(adapters);
      return model;
    } catch (error) {
      model.dispose();
      throw error;
    }
  } finally {
    downloading.end();
    loading.end();
  }
}
