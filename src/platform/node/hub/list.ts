/**
 * What the cache holds.
 *
 * Flow: cache folder → listCachedModels → `cria list`.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { cachedCommit, filesBelow, repoFolder, sizeOf, snapshotFolder } from "./cache.ts";
import { hubCacheFolder, type ResolveOptions } from "./options.ts";

/** A repository in the cache. */
export interface CachedModel {
  /** `user/repo` */
  readonly repo: string;
  /** Branches and tags, and commits that none of them names. */
  readonly revisions: readonly string[];
  /** Files of all revisions; `path` is inside the repository. A file that differs between revisions is there twice. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** What unfinished downloads hold. */
  readonly partialBytes: number;
}

/** The repositories in the cache, by name. An absent cache is an empty one. */
export async function listCachedModels(options: ResolveOptions = {}): Promise<CachedModel[]> {
  const cacheFolder = hubCacheFolder(options.cacheFolder);
  const names = await readdir(cacheFolder).catch(() => []);
  const models: CachedModel[] = [];
  for (const name of names.sort()) {
    const repo = /^models--([^/]+?)--(.+)$/.exec(name);
    if (repo) models.push(await describeCached(cacheFolder, `${repo[1]}/${repo[2]}`));
  }
  return models.filter((model) => model.files.length > 0 || model.partialBytes > 0);
}

async function describeCached(cacheFolder: string, repo: string): Promise<CachedModel> {
  const folder = repoFolder(cacheFolder, repo);
  const refs = await filesBelow(join(folder, "refs"));
  const named = await Promise.all(refs.map((ref) => cachedCommit(cacheFolder, repo, ref)));
  const commits = (await readdir(join(folder, "snapshots")).catch(() => [])).sort();

  const files = new Map<string, { path: string; bytes: number }>();
  for (const commit of commits) {
    const snapshot = snapshotFolder(cacheFolder, repo, commit);
    for (const path of await filesBelow(snapshot)) {
      const bytes = (await sizeOf(join(snapshot, path))) ?? 0;
      files.set(`${path} ${bytes}`, { path, bytes });
    }
  }

  let partialBytes = 0;
  for (const blob of await filesBelow(join(folder, "blobs")))
    if (blob.endsWith(".incomplete")) partialBytes += (await sizeOf(join(folder, "blobs", blob))) ?? 0;
  return {
    repo,
    revisions: [...refs, ...commits.filter((commit) => !named.includes(commit))],
    files: [...files.values()],
    partialBytes,
  };
}
