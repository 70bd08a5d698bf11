/** What the programs that compare engines share: the compiled package, the machine's description, files of results. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import type { EngineName } from "./engine.ts";

const bench = join(import.meta.dirname, "..");
const root = join(bench, "..");

/** What a run was made with. */
export interface RunDescription {
  readonly date: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly threads: number;
  readonly repeat: number;
}

/** Cria, and llama.cpp where it is installed. */
export function installedEngines(): readonly EngineName[] {
  if (existsSync(join(bench, "node_modules", "node-llama-cpp"))) return ["cria", "llama.cpp"];
  console.error("llama.cpp is left out: npm ci --prefix bench installs it");
  return ["cria"];
}

/** Compiles the package as users have it, and returns its folder. Types that do not fit are shown, but hinder nothing. */
export function compilePackage(): string {
  const build = join(bench, "dist");
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  spawnSync(process.execPath, [compiler, "--project", join(root, "tsconfig.build.json"), "--outDir", build], {
    stdio: "inherit",
  });
  return build;
}

/** Describes the run, and prints it. */
export function describeRun(threads: number, repeat: number): RunDescription {
  const run: RunDescription = {
    date: new Date().toISOString(),
    commit: commitOf(root),
    cpu: cpus()[0].model,
    cores: cpus().length,
    node: process.version,
    threads,
    repeat,
  };
  console.log(
    `${run.cpu}, ${run.cores} cores, Node ${run.node}, ${threads} threads, ` +
      `commit ${run.commit}, median of ${repeat}\n`,
  );
  return run;
}

/** Writes bench/results/<name>.json. */
export function writeResults(name: string, results: object): void {
  const folder = join(bench, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);
}

export function wholeNumber(name: string, text: string, least: number): number {
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
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
