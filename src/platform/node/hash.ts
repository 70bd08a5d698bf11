/** The identity of a model: SHA-256 over its files. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

/** SHA-256 of the files' bytes one after the other, in hexadecimal: for a single file what sha256sum prints. */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths)
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { end: false });
  return hash.digest("hex");
}
