/**
 * The tokens of a data file, made once: opened where they are, made anew where they are missing, stale or damaged.
 *
 * Flow: data file → build-token-cache.ts → cache-file.ts → openTokenCache → dataset.ts.
 */
import type { FileSystem } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";
import { type BuildOptions, buildTokenCache } from "./build-token-cache.ts";
import { readCache, type TokenCache } from "./cache-file.ts";

/**
 * Opens the cache at `cachePath`, making it of the data file first when it is missing, stale or damaged.
 *
 * @throws {CriaError} "bad-file" for the data, "bad-input" when it holds no example or mixes preferences with others
 */
export async function openTokenCache(
  dataPath: string,
  cachePath: string,
  files: FileSystem,
  options: BuildOptions,
): Promise<TokenCache> {
  const known = (await files.exists(cachePath))
    ? await tryOpen(cachePath, files, options.fingerprint)
    : undefined;
  if (known) return known;
  await buildTokenCache(dataPath, cachePath, files, options);
  const made = await tryOpen(cachePath, files, options.fingerprint);
  if (!made) throw new CriaError("bad-file", `${cachePath}: cannot be read back`);
  return made;
}

/** Undefined for a cache of other data, or one that is damaged: it is made anew then. */
async function tryOpen(
  path: string,
  files: FileSystem,
  fingerprint: string,
): Promise<TokenCache | undefined> {
  const source = await files.open(path);
  const cache = await readCache(source, fingerprint).catch(() => undefined);
  if (!cache) await source.close();
  return cache;
}
