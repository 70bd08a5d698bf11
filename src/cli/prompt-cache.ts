/** `--prompt-cache`: what the model has read is kept in a file, and the next run goes on from it. */
import type { Command } from "commander";
import type { Model } from "../generate/model.ts";
import { nodeFiles } from "../platform/node/file-system.ts";

export interface PromptCacheFlags {
  readonly promptCache?: string;
}

export function addPromptCacheOption(command: Command): Command {
  return command.option(
    "--prompt-cache <file>",
    "keep what was read and made in this file, and go on from what it holds",
  );
}

/** Runs `use` between taking up the file, where it is, and writing it; it is not written when `use` fails. */
export async function withPromptCache(
  model: Model,
  { promptCache: path }: PromptCacheFlags,
  use: () => Promise<void>,
): Promise<void> {
  if (path !== undefined && (await nodeFiles.exists(path))) await model.restoreSession(path);
  await use();
  if (path !== undefined) await model.saveSession(path);
}
