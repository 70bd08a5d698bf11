/** Finds the models that `npm run fixtures` fetched into .fixtures. */
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..", ".fixtures");

/** Path of a fixture, or undefined (with a printed reason) when it was not fetched. */
export function fixture(name: string): string | undefined {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  console.warn(`skipped: ${name} is not here; run \`npm run fixtures\``);
  return undefined;
}
