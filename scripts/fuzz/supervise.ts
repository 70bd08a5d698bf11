/** Runs a range of mutants in processes: one that hangs or runs out of memory is ended, noted, and passed over. */
import { fork } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding, FuzzRange, FuzzTotals } from "./run.ts";
import type { WorkerTask } from "./worker.ts";

const HANG_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 250;
/** Findings of one worker are known when it ends, so it gets so many mutants at a time. */
const PIECE = 20_000;
const HEAP_MEGABYTES = 1024;

export interface SuperviseOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (doneCount: number) => void;
  readonly onFinding: (finding: Finding) => Promise<void>;
}

export interface SuperviseTotals {
  readonly doneCount: number;
  readonly acceptedCount: number;
  readonly findingCount: number;
}

/** Runs all mutants, or those before the signal fired. */
export async function superviseFuzz(
  targetName: string,
  { seed, first, count }: FuzzRange,
  { signal, onProgress, onFinding }: SuperviseOptions,
): Promise<SuperviseTotals> {
  const folder = await mkdtemp(join(tmpdir(), "cria-fuzz-"));
  const watch = (range: FuzzRange): Promise<FuzzTotals | Death> =>
    watchWorker({ ...range, targetName, progressPath: join(folder, "progress") }, signal, (index) =>
      onProgress(index - first),
    );
  let acceptedCount = 0;
  let findingCount = 0;
  let next = first;
  const take = async (totals: FuzzTotals): Promise<void> => {
    acceptedCount += totals.acceptedCount;
    findingCount += totals.findings.length;
    for (const finding of totals.findings) await onFinding(finding);
  };
  try {
    while (next < first + count && !signal.aborted) {
      const pieceCount = Math.min(PIECE, first + count - next);
      const outcome = await watch({ seed, first: next, count: pieceCount });
      if (!("killer" in outcome)) {
        await take(outcome);
        next += pieceCount;
        continue;
      }
      // A worker that dies takes what it found along: the mutants before its end run again.
      if (outcome.index > next) {
        const before = await watch({ seed, first: next, count: outcome.index - next });
        if (!("killer" in before)) await take(before);
      }
      if (outcome.killer) await take({ findings: [outcome.killer], acceptedCount: 0 });
      next = outcome.killer ? outcome.index + 1 : outcome.index;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { doneCount: next - first, acceptedCount, findingCount };
}

/** A worker that did not finish: what killed it, or nothing when it was aborted. */
interface Death {
  readonly index: number;
  readonly killer: Finding | undefined;
}

function watchWorker(
  task: WorkerTask,
  signal: AbortSignal,
  onIndex: (index: number) => void,
): Promise<FuzzTotals | Death> {
  const worker = fork(new URL("./worker.ts", import.meta.url), {
    execArgv: [`--max-old-space-size=${HEAP_MEGABYTES}`],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
  });
  return new Promise((resolve, reject) => {
    let result: FuzzTotals | undefined;
    let hung = false;
    let lastIndex: number | undefined;
    let lastChange = performance.now();
    let lastWords = "";
    worker.stderr?.on("data", (text: Buffer) => {
      lastWords = (lastWords + text.toString()).slice(-4000);
    });
    const timer = setInterval(async () => {
      const index = await readProgress(task.progressPath);
      // Loading the modules takes a while on a busy machine, and is no hang.
      if (index !== lastIndex || index === undefined) lastChange = performance.now();
      lastIndex = index;
      if (index !== undefined) onIndex(index);
      hung = performance.now() - lastChange > HANG_MILLISECONDS;
      if (hung || signal.aborted) worker.kill("SIGKILL");
    }, POLL_MILLISECONDS);
    worker.once("message", (totals) => {
      result = totals as FuzzTotals;
      worker.disconnect();
    });
    worker.once("error", reject);
    worker.once("exit", async (code, exitSignal) => {
      clearInterval(timer);
      if (result) return resolve(result);
      const index = await readProgress(task.progressPath);
      if (signal.aborted) return resolve({ index: index ?? task.first, killer: undefined });
      if (index === undefined) return reject(new Error(`the worker did not start: ${lastWords}`));
      if (hung)
        return resolve({
          index,
          killer: { index, kind: "hang", message: `ran for over ${HANG_MILLISECONDS} ms` },
        });
      const kind = lastWords.includes("heap out of memory") ? "memory" : "error";
      return resolve({
        index,
        killer: { index, kind, message: `ended with ${exitSignal ?? code}: ${lastWords}` },
      });
    });
    worker.send(task);
  });
}

/** The number of the mutant at work; undefined before the first. */
async function readProgress(path: string): Promise<number | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes?.length === 8 ? bytes.readDoubleLE() : undefined;
}
