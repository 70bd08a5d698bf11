/** Runs a range of mutants in workers: one that hangs or runs out of memory is ended, noted, and passed over. */
import { Worker } from "node:worker_threads";
import type { Finding, FuzzRange, FuzzTotals } from "./run.ts";
import type { WorkerTask } from "./worker.ts";

const HANG_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 250;
/** Findings of one worker are known when it ends, so it gets so many mutants at a time. */
const PIECE = 10_000;
/** What the progress says while a worker loads its modules. */
const NOT_STARTED = -1;

export interface SuperviseOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (doneCount: number) => void;
  readonly onFinding: (finding: Finding) => Promise<void>;
}

/** Runs all mutants, or those before the signal fired. Returns how many ran and how many were read without an error. */
export async function superviseFuzz(
  targetName: string,
  { seed, first, count }: FuzzRange,
  { signal, onProgress, onFinding }: SuperviseOptions,
): Promise<{ doneCount: number; acceptedCount: number; findingCount: number }> {
  let acceptedCount = 0;
  let findingCount = 0;
  let next = first;
  const end = first + count;
  while (next < end && !signal.aborted) {
    const range = { seed, first: next, count: Math.min(PIECE, end - next) };
    const outcome = await runWorker(targetName, range, signal, (index) => onProgress(index - first));
    next = outcome.next;
    acceptedCount += outcome.totals.acceptedCount;
    findingCount += outcome.totals.findings.length;
    for (const finding of outcome.totals.findings) await onFinding(finding);
    onProgress(next - first);
  }
  return { doneCount: next - first, acceptedCount, findingCount };
}

interface Outcome {
  readonly totals: FuzzTotals;
  readonly next: number;
}

/** A worker that dies takes the findings before it along: its range is then run again up to the mutant that killed it. */
async function runWorker(
  targetName: string,
  range: FuzzRange,
  signal: AbortSignal,
  onIndex: (index: number) => void,
): Promise<Outcome> {
  const death = await watchWorker(targetName, range, signal, onIndex);
  if (!("killer" in death)) return { totals: death, next: range.first + range.count };
  const { killer, index } = death;
  const before = { ...range, count: index - range.first };
  const earlier =
    before.count > 0 && !signal.aborted ? await watchWorker(targetName, before, signal, onIndex) : undefined;
  const totals = earlier && !("killer" in earlier) ? earlier : { findings: [], acceptedCount: 0 };
  if (killer === undefined) return { totals, next: index };
  return { totals: { ...totals, findings: [...totals.findings, killer] }, next: index + 1 };
}

type Death = { readonly index: number; readonly killer: Finding | undefined };

function watchWorker(
  targetName: string,
  range: FuzzRange,
  signal: AbortSignal,
  onIndex: (index: number) => void,
): Promise<FuzzTotals | Death> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  progress[0] = NOT_STARTED;
  const workerData: WorkerTask = { ...range, targetName, progress };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  return new Promise((resolve, reject) => {
    let lastIndex = NOT_STARTED;
    let lastChange = performance.now();
    const finish = async (outcome: FuzzTotals | Death): Promise<void> => {
      clearInterval(timer);
      await worker.terminate();
      resolve(outcome);
    };
    const died = (kind: Finding["kind"], message: string): void => {
      const index = Atomics.load(progress, 0);
      void finish({ index, killer: { index, kind, message } });
    };
    const timer = setInterval(() => {
      const index = Atomics.load(progress, 0);
      if (index !== lastIndex || index === NOT_STARTED) lastChange = performance.now();
      lastIndex = index;
      if (index !== NOT_STARTED) onIndex(index);
      if (signal.aborted) void finish({ index: Math.max(index, range.first), killer: undefined });
      else if (performance.now() - lastChange > HANG_MILLISECONDS)
        died("hang", `still running after ${HANG_MILLISECONDS / 1000} s`);
    }, POLL_MILLISECONDS);
    worker.once("message", (totals: FuzzTotals) => void finish(totals));
    worker.once("error", (error) => {
      if (Atomics.load(progress, 0) === NOT_STARTED) {
        clearInterval(timer);
        reject(error);
        return;
      }
      const outOfMemory = (error as { code?: string }).code === "ERR_WORKER_OUT_OF_MEMORY";
      died(outOfMemory ? "memory" : "error", error.stack ?? String(error));
    });
  });
}
