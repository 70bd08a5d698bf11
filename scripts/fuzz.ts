/**
 * Breaks small valid files at random and watches every reader refuse them properly.
 *
 *   npx node scripts/fuzz.ts --format pth --count 100000 --seed 1     one format; "all" by default
 *   npx node scripts/fuzz.ts --format pth --seed 1 --first 4711 --count 1     one mutant again
 *   npx node scripts/fuzz.ts --format pth --replay file.bin     a saved file again
 *
 * A finding is an error that is no CriaError, a second of work, 64 MiB of memory, or a hang; the file is saved, and
 * the exit code is 1. Ctrl-C ends early with the summary so far.
 *
 * Flow: targets/ → supervise.ts → worker.ts → run.ts.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mutantOf } from "./fuzz/mutate.ts";
import { type Finding, runOnce } from "./fuzz/run.ts";
import { superviseFuzz } from "./fuzz/supervise.ts";
import type { FuzzTarget } from "./fuzz/target.ts";
import { fuzzTargets } from "./fuzz/targets/all.ts";

const { values: options } = parseArgs({
  options: {
    format: { type: "string", default: "all" },
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    first: { type: "string", default: "0" },
    replay: { type: "string" },
    out: { type: "string", default: join(tmpdir(), "cria-fuzz") },
  },
});

const targets = fuzzTargets.filter(({ name }) => options.format === "all" || options.format === name);
if (targets.length === 0)
  fail(`no format is named ${options.format}; there are ${fuzzTargets.map(({ name }) => name).join(", ")}`);

let findingCount = 0;
if (options.replay !== undefined) await replay(options.replay);
else {
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  for (const target of targets) if (!abort.signal.aborted) await fuzz(target, abort.signal);
}
process.exitCode = findingCount > 0 ? 1 : 0;

async function fuzz(target: FuzzTarget, signal: AbortSignal): Promise<void> {
  const range = { seed: wholeNumber("seed"), first: wholeNumber("first"), count: wholeNumber("count") };
  const start = performance.now();
  const rate = (done: number): string => `${Math.round((done / (performance.now() - start)) * 1000)} files/s`;
  const onProgress = (done: number): void => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${target.name}: ${done} of ${range.count}, ${rate(done)}   `);
  };
  const onFinding = (finding: Finding): Promise<void> => report(target, range.seed, finding);
  const totals = await superviseFuzz(target.name, range, { signal, onProgress, onFinding });
  const seconds = Math.round((performance.now() - start) / 1000);
  if (process.stderr.isTTY) process.stderr.write("\r");
  console.log(
    `${target.name}: ${totals.doneCount} files in ${seconds} s (${rate(totals.doneCount)}), seed ${range.seed}: ` +
      `${totals.acceptedCount} read, ${totals.findingCount} findings${signal.aborted ? ", aborted" : ""}`,
  );
}

async function report(target: FuzzTarget, seed: number, { index, kind, message }: Finding): Promise<void> {
  findingCount++;
  await mkdir(options.out, { recursive: true });
  const path = join(options.out, `${target.name}-${seed}-${index}.bin`);
  await writeFile(path, mutantOf(await target.seeds(), target.tokens ?? [], seed, index));
  console.log(
    `\n${target.name}: finding (${kind}) at seed ${seed}, index ${index}, saved as ${path}\n${message}\n`,
  );
}

async function replay(path: string): Promise<void> {
  const bytes = new Uint8Array(await readFile(path));
  for (const target of targets) {
    const result = await runOnce(target, bytes);
    if (typeof result === "object") findingCount++;
    console.log(
      `${target.name}: ${typeof result === "string" ? result : `${result.kind}: ${result.message}`}`,
    );
  }
}

function wholeNumber(name: "seed" | "first" | "count"): number {
  const value = Number(options[name]);
  if (!Number.isSafeInteger(value) || value < 0)
    fail(`--${name} is ${options[name]}; expected a whole number`);
  return value;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
