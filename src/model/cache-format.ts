/**
 * What a cache keeps keys and values in, and the bytes that takes.
 *
 * Flow: options (load-model.ts, command line) → resolveCacheFormats → Cache, memory that is reckoned before loading.
 */
import { type CacheFormat, cacheFormats } from "../ops/store.ts";
import { CriaError } from "../shared/errors.ts";
import { blockLength, rowBytes } from "../tensor/format.ts";
import type { ModelConfig } from "./config.ts";

export type { CacheFormat } from "../ops/store.ts";

export interface CacheFormats {
  readonly keys: CacheFormat;
  readonly values: CacheFormat;
}

/** One format for both, or one for each; F16 where none is named. */
export type CacheFormatOption = CacheFormat | Partial<CacheFormats>;

/** @throws {CriaError} "bad-input" for another format; "unsupported" where heads are no whole number of blocks. */
export function resolveCacheFormats(config: ModelConfig, option: CacheFormatOption = "F16"): CacheFormats {
  const { keys = "F16", values = "F16" } =
    typeof option === "string" ? { keys: option, values: option } : option;
  for (const format of [keys, values]) {
    if (!cacheFormats.includes(format))
      throw new CriaError("bad-input", `a cache of ${format}; expected ${cacheFormats.join(" or ")}`);
    if (config.headLength % blockLength(format) !== 0)
      throw new CriaError(
        "unsupported",
        `a cache of ${format} needs heads of a multiple of ${blockLength(format)} channels; this model's have ${config.headLength}`,
      );
  }
  return { keys, values };
}

/** Bytes that `tokens` tokens take in one layer: a row for each key/value head. */
export function layerBytes(
  { kvHeadCount, headLength }: ModelConfig,
  format: CacheFormat,
  tokens: number,
): number {
  return tokens * kvHeadCount * rowBytes(format, headLength);
}
