/**
 * Runs one range of mutants in a worker, so that fuzz.ts can end it when it hangs or runs out of memory. The number of
 * the mutant at work lies in shared memory, where it outlives the worker.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type FuzzRange, runMutants } from "./run.ts";
import { fuzzTargets } from "./targets/all.ts";

export interface WorkerTask extends FuzzRange {
  readonly targetName: string;
  /** [number of the mutant at work] */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

const task = workerData as WorkerTask;
const target = fuzzTargets.find(({ name }) => name === task.targetName);
if (!target) throw new Error(`no target is named ${task.targetName}`);
const totals = await runMutants(target, task, (index) => Atomics.store(task.progress, 0, index));
parentPort?.postMessage(totals);
