/** Finds the development data: the folder in CRIA_DATA, or `shared/data` beside the checkout. */
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.CRIA_DATA ?? join(import.meta.dirname, "..", "..", "shared", "data");

/** Path of a data file, or undefined (with a printed reason) when it is not on this machine. */
export function dataFile(relative: string): string | undefined {
  const path = join(folder, relative);
  if (existsSync(path)) return path;
  console.warn(`skipped: ${relative} is not here; set CRIA_DATA to the folder that holds it`);
  return undefined;
}
