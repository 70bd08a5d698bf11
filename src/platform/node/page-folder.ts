/** Reads the files of a built page into memory, for the server. */
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { PageFiles } from "../../server/page.ts";
import { CriaError } from "../../shared/errors.ts";

/** A page larger than this holds something that should not be served from memory, such as a model. */
const MOST_BYTES = 64 * 2 ** 20;

/**
 * The files of a folder by path, with `/` between names. Links are not followed, so nothing outside comes in.
 *
 * @throws {CriaError} "not-found" for a folder without index.html, "bad-input" for one that is too large.
 */
export async function readPage(folder: string): Promise<PageFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new CriaError("not-found", `${folder}: ${(cause as Error).message}`, { cause });
  });
  const files = new Map<string, Uint8Array>();
  let total = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    total += bytes.byteLength;
    if (total > MOST_BYTES)
      throw new CriaError("bad-input", `${folder}: the page has more than ${MOST_BYTES} bytes`);
    files.set(relative(folder, path).split(sep).join("/"), bytes);
  }
  if (!files.has("index.html")) throw new CriaError("not-found", `${folder}: no index.html in it`);
  return files;
}
