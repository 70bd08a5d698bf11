/**
 * The whole check of a checkout, for a machine that has only run `npm ci`: `npm test`.
 *
 * Fetches what outside tests need (llama.cpp, a model), checks types, style, unused code and size, builds the package,
 * checks it, and runs every test. Each step counts as one test, and each of vitest's tests as one. What cannot be
 * fetched is a skip with its reason. The last line is the sum: `N passed, N failed, N skipped`.
 *
 *   --quick   without fetching, and without the tests that need llama.cpp or a packed package
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand } from "./run-command.ts";
import { countResults } from "./vitest-report.ts";

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** A failure of an optional step is a skip. */
  readonly optional?: boolean;
  readonly folder?: string;
  readonly minutes?: number;
  /** Runs after success. */
  readonly done?: () => Promise<void>;
}

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const root = join(import.meta.dirname, "..");
const bench = join(root, "bench");
const total = { passed: 0, failed: 0, skipped: 0 };

if (!values.quick) {
  await installBench();
  await runFixtures();
}
await run({ name: "types", command: ["tsc", "--noEmit"] });
if (existsSync(join(bench, "node_modules")))
  await run({ name: "types of bench", command: ["tsc", "--project", "bench"] });
await run({ name: "style", command: ["biome", "ci", "--colors=off"] });
await run({ name: "unused code", command: ["knip", "--no-progress"] });
await run({ name: "size of src", command: ["node", "scripts/count-lines.ts"], minutes: 1 });
await run({ name: "build", command: ["npm", "run", "build"] });
await run({ name: "types of the page", command: ["tsc", "--project", "apps/chat", "--noEmit"] });
await run({ name: "build of the page", command: ["npm", "run", "build:page"] });
await run({ name: "rules for packages", command: ["publint", "run", "--strict"] });
await runVitest();

const sum = `${total.passed} passed, ${total.failed} failed`;
console.log(total.skipped > 0 ? `${sum}, ${total.skipped} skipped` : sum);
process.exitCode = total.failed > 0 ? 1 : 0;

/** Installs bench unless what is there came from the same lock file. */
async function installBench(): Promise<void> {
  const stamp = join(bench, "node_modules", ".installed-from");
  const lock = createHash("sha256")
    .update(await readFile(join(bench, "package-lock.json")))
    .digest("hex");
  if ((await readFile(stamp, "utf8").catch(() => "")) === lock)
    return report("passed", "bench is installed", 0);
  await run({
    name: "install bench",
    command: ["npm", "ci", "--no-audit", "--no-fund"],
    folder: bench,
    optional: true,
    done: () => writeFile(stamp, lock),
  });
}

async function runFixtures(): Promise<void> {
  await run({ name: "fixtures", command: ["node", "scripts/fixtures.ts"], optional: true, minutes: 15 });
}

async function run({ name, command, optional, folder, minutes = 10, done }: Step): Promise<void> {
  const result = await runCommand(command, { folder: folder ?? root, minutes, show: false });
  if (result.failure === undefined) {
    await done?.();
    return report("passed", name, result.seconds);
  }
  console.log(result.output.trimEnd());
  report(optional ? "skipped" : "failed", `${name}: ${result.failure}`, result.seconds);
}

async function runVitest(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cria-test-"));
  try {
    const path = join(folder, "report.json");
    const without = values.quick ? ["--exclude=tests/{oracle,package,browser}/**"] : [];
    const result = await runCommand(
      ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${path}`, ...without],
      { folder: root, minutes: 45, show: true },
    );
    const counts = countResults(await readFile(path, "utf8").catch(() => undefined));
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    for (const reason of counts.broken) report("failed", reason, 0);
    // vitest may end badly though every test passed: an unhandled error, a hang, a crash.
    if (result.failure !== undefined && counts.failed === 0 && counts.broken.length === 0)
      report("failed", `vitest: ${result.failure}`, result.seconds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(outcome: keyof typeof total, name: string, seconds: number): void {
  total[outcome]++;
  console.log(`${outcome.padEnd(7)} ${seconds.toFixed(1).padStart(6)} s  ${name}`);
}
