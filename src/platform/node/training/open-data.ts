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
import type { TokenCache } from "../../../train/data/cache-file.ts";
import { createDataset, type Dataset, type DatasetSource } from "../../../train/data/dataset.ts";
import { openTokenCache } from "../../../train/data/token-cache.ts";
import type { DataSettings, Recipe } from "../../../train/recipe.ts";
import type { RunData } from "../../../train/run.ts";
import { nodeFiles, worded } from "../file-system.ts";
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
  let dataset: Dataset;
  try {
    for (const settings of recipe.data) {
      const { cache, fingerprint } = await openSource(settings, parts);
      sources.push({ cache, weight: settings.weight });
      fingerprints.push(fingerprint);
      checkKind(recipe, settings.path, cache);
    }
    dataset = createDataset(sources, {
      seed: recipe.seed,
      validation: recipe.validation,
      rows: recipe.batch.windows,
      length: parts.length,
      long: recipe.long,
    });
  } catch (error) {
    for (const { cache } of sources) await cache.close();
    throw error;
  }
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

async function openSource(
  { path, weight: _weight, license: _license, ...text }: DataSettings,
  parts: Parts,
): Promise<{ readonly cache: TokenCache; readonly fingerprint: string }> {
  if (!(await nodeFiles.exists(path))) throw new CriaError("not-found", `${path}: no such data file`);
  const fingerprint = createHash("sha256")
    .update(parts.encoding)
    .update(await worded(path, hashFiles([path])))
    .update(Object.keys(text).length > 0 ? JSON.stringify(text) : "")
    .digest("hex");
  const cachePath = join(parts.cacheFolder, `${fingerprint.slice(0, 16)}.tokens`);
  const cache = await openTokenCache(path, cachePath, nodeFiles, {
    tokenizer: parts.tokenizer,
    chatFormat: parts.chatFormat,
    fingerprint,
    text,
    ...(parts.signal ? { signal: parts.signal } : {}),
    onProgress: (documents) => parts.say(`${path}: ${documents} documents tokenized`),
  });
  const { count, first } = cache.skipped;
  if (count > 0) parts.say(`${path}: ${count} records left out (${first})`);
  return { cache, fingerprint };
}

/** Answers and texts cannot be told from rejected ones once they are tokens, so the kinds must fit. */
function checkKind({ kind }: Recipe, path: string, { pairs }: TokenCache): void {
  if (pairs && kind !== "dpo")
    throw new CriaError(
      "bad-input",
      `${path}: holds pairs of a chosen and a rejected answer, and ${kind} would learn both; they are for dpo`,
    );
  if (!pairs && kind === "dpo")
    throw new CriaError("bad-input", `${path}: expected pairs for dpo: records with chosen and rejected`);
}
