/**
 * Which rows the next step has: one for every sequence that decodes, and the rest of the room for prompts.
 *
 * Decoding sequences always go first, so a long prompt never stalls them for more than a step; while they are there, a
 * step takes at most `mixedRows` rows, so that the step itself stays short. Prompts share what is left, first come first
 * served.
 *
 * Flow: engine.ts (jobs) → rowsOfStep → Step.setRows.
 */

/** Tokens that a sequence waits to have processed. */
export interface Job {
  /** How many are done. */
  done: number;
  readonly ids: readonly number[];
  /** The most rows that one step may take of it: fewer where each row wants logits. */
  readonly rowLimit: number;
}

export interface Share<Owner extends Job> {
  readonly job: Owner;
  readonly count: number;
}

/** At least one row for the first job; jobs in order of their coming. */
export function rowsOfStep<Owner extends Job>(
  jobs: readonly Owner[],
  capacity: number,
  mixedRows: number,
): Share<Owner>[] {
  const decoding = jobs.filter(({ ids, done }) => ids.length - done === 1);
  const prompts = jobs.filter(({ ids, done }) => ids.length - done > 1);
  const shares: Share<Owner>[] = decoding.slice(0, capacity).map((job) => ({ job, count: 1 }));
  let room =
    (decoding.length > 0 ? Math.min(capacity, Math.max(mixedRows, decoding.length)) : capacity) -
    shares.length;
  for (const job of prompts) {
    if (room <= 0) break;
    const count = Math.min(room, job.rowLimit, job.ids.length - job.done);
    shares.push({ job, count });
    room -= count;
  }
  return shares;
}
