/**
 * Runs one range of mutants in a process of its own, so that supervise.ts can end it when it hangs, and outlives it
 * when it runs out of memory. The number of the mutant at work lies in a file, where it survives the process.
 */
import { openSync, writeSync } from "node:fs";
import { type FuzzRange, runMutants } from "./run.ts";
import { fuzzTargets } from "./targets/all.ts";

export interface WorkerTask extends FuzzRange {
  readonly targetName: string;
  /** The number of the mutant at work, 8 bytes, as a float of 64 bits. */
  readonly progressPath: string;
}

process.once("message", async (task: WorkerTask) => {
  const target = fuzzTargets.find(({ name }) => name === task.targetName);
  if (!target) throw new Error(`no target is named ${task.targetName}`);
  const file = openSync(task.progressPath, "w");
  const number = new Float64Array(1);
  const totals = await runMutants(target, task, (index) => {
    number[0] = index;
    writeSync(file, number, 0, 8, 0);
  });
  process.send?.(totals);
});
