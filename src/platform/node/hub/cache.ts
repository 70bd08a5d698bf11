/**
 * The cache that Hugging Face tools share, so that no model is downloaded twice.
 *
 *   models--user--repo/blobs/<etag>                  a file's bytes, named by their hash
 *   models--user--repo/blobs/<etag>.incomplete       the beginning of one, to be resumed
 *   models--user--repo/snapshots/<commit>/<path>     → ../../blobs/<etag>
 *   models--user--repo/refs/<revision>               the commit that a branch or tag meant when last asked
 *   .locks/models--user--repo/                       one process at a time per blob
 *
 * Flow: pull.ts writes it; resolve.ts and list.ts read it. Source: huggingface.co/docs/huggingface_hub/guides/manage-cache.
 */
import { randomBytes } from "node:crypto";
import {
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { CriaError } from "../../../shared/errors.ts";

/** Folder of a repository inside the cache. */
export function repoFolder(cacheFolder: string, repo: string): string {
  return join(cacheFolder, `models--${repo.replace("/", "--")}`);
}

export function blobPath(cacheFolder: string, repo: string, etag: string): string {
  return join(repoFolder(cacheFolder, repo), "blobs", etag);
}

export function lockPath(cacheFolder: string, repo: string, etag: string): string {
  // Not "<etag>.lock": Python's tools lock that name by other means, and leave the file there.
  return join(cacheFolder, ".locks", `models--${repo.replace("/", "--")}`, `${etag}.cria-lock`);
}

export function snapshotFolder(cacheFolder: string, repo: string, commit: string): string {
  return join(repoFolder(cacheFolder, repo), "snapshots", commit);
}

/** The commit that the cache knows for a revision. A commit is its own. */
export async function cachedCommit(
  cacheFolder: string,
  repo: string,
  revision: string,
): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const path = join(repoFolder(cacheFolder, repo), "refs", revision);
  const commit = (await readFile(path, "utf8").catch(() => "")).trim();
  return isCommit(commit) ? commit : undefined;
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Remembers what a revision means; that a commit is itself need not be remembered. */
export async function storeRevision(
  cacheFolder: string,
  repo: string,
  revision: string,
  commit: string,
): Promise<void> {
  // What is known need not be written: a cache that several people share may be one that this one only reads.
  if ((await cachedCommit(cacheFolder, repo, revision)) === commit) return;
  const folder = repoFolder(cacheFolder, repo);
  const path = join(folder, "refs", revision);
  await mkdir(dirname(path), { recursive: true });
  // Random, since no lock is held: another pull may write the same revision now. Not in refs/, where every file is one.
  const temporary = join(folder, `${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeFile(temporary, commit);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Size of a file, through links; undefined when it is not there. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const info = await stat(path).catch(() => undefined);
  return info?.isFile() ? info.size : undefined;
}

/** Paths of the files below a folder, with "/", sorted; links to nothing are left out. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const files: string[] = [];
  for (const path of entries)
    if ((await sizeOf(join(folder, path))) !== undefined) files.push(path.replaceAll("\\", "/"));
  return files.sort();
}

/** Lets a snapshot's path lead to a blob. */
export async function linkSnapshot(blob: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (await lstat(path).catch(() => undefined)) await rm(path);
  try {
    await symlink(relative(dirname(path), blob), path);
  } catch (error) {
    // Made by another process between the two lines.
    if (errorCode(error) === "EEXIST") return;
    // Windows lets only some users make symbolic links, and some disks know no links: then the snapshot is the file.
    await link(blob, path).catch(() => rename(blob, path));
  }
}

/** A failure of the disk in words. Our own errors pass. */
export function diskError(path: string, cause: unknown): CriaError {
  if (cause instanceof CriaError) return cause;
  const code = errorCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT")
    return new CriaError("bad-file", `${path}: no space left on the device; what came so far is kept`, {
      cause,
    });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new CriaError("bad-file", `${path}: not permitted; HF_HUB_CACHE can name another folder`, {
      cause,
    });
  return new CriaError("bad-file", `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}

export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
