/** What a training run needs of Node. */
import { appendFile, rm } from "node:fs/promises";
import type { RunPlatform } from "../../../train/run.ts";
import { nodeFiles, worded } from "../file-system.ts";
import { hashFiles } from "../hash.ts";

export const nodeRun: RunPlatform = {
  files: nodeFiles,
  hashFiles,
  remove: (path) => rm(path, { force: true }),
  appendLine: (path, line) => worded(path, appendFile(path, `${line}\n`)),
};
