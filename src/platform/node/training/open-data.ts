/**
 * The data that a recipe names: tokenized once into the run's folder, mixed and packed.
 *
 * Flow: recipe.data → openTokenCache → createDataset → train-recipe.ts.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ChatFormat } from "../../../generate/chat-format/chat-format.ts";
import { CriaError } from "../../../shared/errors.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { createDataset, type DatasetSource } from "../../../train/data/dataset.ts";
import { openTokenCache } from "../../../train/data/token-cache.ts";
import type { Recipe } from "../../../train/recipe.ts";
import type { RunData } from "../../../train/run.ts";
import { nodeFiles } from "../file-system.ts";
import { hashFiles } from "../hash.ts";

interface Parts {
  readonly tokenizer: Tokenizer;
  readonly chatFormat: () => ChatFormat;
  /** What decides the ids besides the data: vocabulary and chat template. */
  readonly encoding: string;
  readonly length: number;
  readonly cacheFolder: string;
  readonly signal?: AbortSignal;
  readonly say: (line: string) => void;
}

export interface OpenedData {
  readonly batches: RunData;
  readonly fingerprint: string;
  readonly description: string;
  close(): Promise<void>;
}

export async function openRunData(recipe: Recipe, parts: Parts): Promise<OpenedData> {
  const fingerprints: string[] = [];
  const sources: DatasetSource[] = [];
  for (const { path, weight, license: _license, ...text } of recipe.data) {
    if (!(await nodeFiles.exists(path))) throw new CriaError("not-found", `${path}: no such data file`);
    const fingerprint = createHash("sha256")
      .update(parts.encoding)
      .update(await hashFiles([path]))
      .update(Object.keys(text).length > 0 ? JSON.stringify(text) : "")
      .digest("hex");
    fingerprints.push(fingerprint);
    const cache = await openTokenCache(
      path,
      join(parts.cacheFolder, `${fingerprint.slice(0, 16)}.tokens`),
      nodeFiles,
      {
        tokenizer: parts.tokenizer,
        chatFormat: parts.chatFormat,
        fingerprint,
        text,
        ...(parts.signal ? { signal: parts.signal } : {}),
        onProgress: (documents) => parts.say(`${path}: ${documents} documents tokenized`),
      },
    );
    sources.push({ cache, weight });
    const { count, first } = cache.skipped;
    if (count > 0) parts.say(`${path}: ${count} records left out (${first})`);
  }
  const dataset = createDataset(sources, {
    seed: recipe.seed,
    validation: recipe.validation,
    rows: recipe.batch.windows,
    length: parts.length,
    long: recipe.long,
  });
  const longer =
    (dataset.tooLong > 0 ? `, ${dataset.tooLong} longer than a window left out` : "") +
    (dataset.cut > 0 ? `, ${dataset.cut} longer than a window cut` : "");
  return {
    batches: dataset,
    fingerprint: fingerprints.join(),
    description:
      `${dataset.documents} ${sources[0].cache.pairs ? "pairs" : "documents"} with ${dataset.tokens} tokens, ` +
      `${dataset.heldOut} held out${longer}`,
    close: () => dataset.close(),
  };
}
