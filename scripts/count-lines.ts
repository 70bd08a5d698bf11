/**
 * Counts the lines of src by folder, without tests and generated files, and fails above a cap: `node scripts/count-lines.ts`.
 *
 * The cap keeps the question "does it pay for its lines?" alive. Raise it in the change that needs it, and say why.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";

const lineCap = 60_000;
/** A longer file most likely holds two ideas. */
const fileLineLimit = 500;

const source = join(import.meta.dirname, "..", "src");
const linesByFolder = new Map<string, number>();
let total = 0;
for (const path of readdirSync(source, { recursive: true, encoding: "utf8" }).sort()) {
  if (!path.endsWith(".ts") || path.endsWith(".test.ts") || path.endsWith(".generated.ts")) continue;
  const lineCount = readFileSync(join(source, path), "utf8").split("\n").length - 1;
  const folder = path.includes(sep) ? path.slice(0, path.indexOf(sep)) : "(entries)";
  linesByFolder.set(folder, (linesByFolder.get(folder) ?? 0) + lineCount);
  total += lineCount;
  if (lineCount > fileLineLimit)
    console.log(`warning: src/${path} has ${lineCount} lines; ${fileLineLimit} are the limit`);
}
for (const [folder, lineCount] of linesByFolder) console.log(`${String(lineCount).padStart(7)}  ${folder}`);
console.log(`${String(total).padStart(7)}  of at most ${lineCap}`);
if (total > lineCap) {
  console.log(`src has ${total - lineCap} lines more than the cap in scripts/count-lines.ts`);
  process.exitCode = 1;
}
