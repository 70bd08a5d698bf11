/**
 * Cria beside llama.cpp on the same files: speed, time to the first token, memory.
 *
 *   node bench/compare.ts [--models 1.1b-q4_0,15m-q8_0] [--threads 2] [--repeat 5] [--depth 4096] [--json name]
 *
 * Columns are llama-bench's: pp512 processes a prompt of 512 tokens, tg128 makes 128 tokens, @d after so many. Figures
 * are medians ± half the distance of the quartiles; both engines take turns in one run. `--json` also writes
 * bench/results/<name>.json. Run it on a machine that does nothing else.
 *
 * Flow: models.ts (files) → measure.ts (both engines in turns) → report.ts (tables).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { EngineName } from "./compare/engine.ts";
import { startLimitMeter } from "./compare/limits.ts";
import { type ModelSamples, measureModel } from "./compare/measure.ts";
import { defaultModels, findModel } from "./compare/models.ts";
import { speedTable, startTable } from "./compare/report.ts";

const root = join(import.meta.dirname, "..");
/** Positions are filled in minutes on larger models, so those need --depth. */
const DEPTH_BY_DEFAULT = 4096;
const SMALL_MODEL_BYTES = 200e6;

const { values } = parseArgs({
  options: {
    models: { type: "string", default: defaultModels.join(",") },
    threads: { type: "string", default: "2" },
    repeat: { type: "string", default: "5" },
    depth: { type: "string" },
    json: { type: "string" },
  },
});

const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const depth = values.depth === undefined ? undefined : wholeNumber("depth", values.depth, 0);
const peer = existsSync(join(import.meta.dirname, "node_modules", "node-llama-cpp"));
if (!peer) console.error("llama.cpp is left out: npm ci --prefix bench installs it");
const engines: readonly EngineName[] = peer ? ["cria", "llama.cpp"] : ["cria"];

const build = join(import.meta.dirname, "dist");
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
// What is measured is the compiled package, as users have it. Types that do not fit are shown, but hinder nothing.
spawnSync(process.execPath, [compiler, "--project", join(root, "tsconfig.build.json"), "--outDir", build], {
  stdio: "inherit",
});

const machine = {
  date: new Date().toISOString(),
  commit: commitOf(root),
  cpu: cpus()[0].model,
  cores: cpus().length,
  node: process.version,
  threads,
  repeat,
};
console.log(
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${threads} threads, ` +
    `commit ${machine.commit}, median of ${repeat}\n`,
);

await using meter = await startLimitMeter(threads);
const results: ModelSamples[] = [];
for (const name of values.models.split(",")) {
  const model = await findModel(name);
  if (!model) {
    console.error(`${name} is left out: its file is not on this machine`);
    continue;
  }
  const usual = model.byteLength < SMALL_MODEL_BYTES ? DEPTH_BY_DEFAULT : 0;
  const onTurn = (text: string) => progress(`${name}: ${text}`);
  results.push(
    await measureModel(model, meter, { engines, threads, repeat, depth: depth ?? usual, build, onTurn }),
  );
  progress("");
}
console.log(`${speedTable(results, engines)}\n\n${startTable(results, engines)}`);

if (values.json !== undefined) {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const models = results.map(({ model: { path: _, ...model }, ...samples }) => ({ model, ...samples }));
  writeFileSync(
    join(folder, `${values.json}.json`),
    `${JSON.stringify({ ...machine, results: models }, null, 1)}\n`,
  );
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= least))
    throw new Error(`--${name} is ${text}; expected an integer of at least ${least}`);
  return value;
}

function commitOf(folder: string): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", "src") !== "";
  return git("rev-parse", "--short", "HEAD") + (changed ? " with changes" : "");
}

/** One line on a terminal that the next replaces. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
