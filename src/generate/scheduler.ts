/**
 * Which rows the next step has: those of every sequence that decodes, and the rest of the room for prompts.
 *
 * Decoding sequences always go first, those that check guesses too, so a long prompt never stalls them for more than a
 * step; while they are there, a step takes at most `mixedRows` rows, so that the step itself stays short. Prompts share what
 * is left, a few rows at least, first come first served.
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

/** Which tokens want logits. */
export type Outputs = "none" | "last" | "all";

export interface OutputJob extends Job {
  readonly outputs: Outputs;
}

export interface Share<Owner extends Job> {
  readonly job: Owner;
  readonly count: number;
}

/** Tokens that a decoding sequence asks for at most: one, and those that were guessed after it. */
export const MOST_DECODED = 8;
/** Rows that prompts get however many sequences decode, where a step has so many: else they would wait for those to end. */
const LEAST_PROMPT_ROWS = 8;

/**
 * At least one row for the first job; jobs in order of their coming.
 *
 * @param decodingRows the most rows that decoding sequences take, each of which wants logits
 */
export function rowsOfStep<Owner extends Job>(
  jobs: readonly Owner[],
  capacity: number,
  mixedRows: number,
  decodingRows: number = capacity,
): Share<Owner>[] {
  const left = ({ ids, done }: Owner): number => ids.length - done;
  const reserved = Math.min(LEAST_PROMPT_ROWS, Math.floor(capacity / 4));
  const most = Math.max(1, Math.min(MOST_DECODED, decodingRows - reserved));
  const decodes = (job: Owner): boolean => left(job) <= Math.min(most, job.rowLimit);
  const prompts = jobs.filter((job) => !decodes(job));
  const least = prompts.length > 0 ? reserved : 0;
  const shares: Share<Owner>[] = [];
  let decoded = 0;
  for (const job of jobs) {
    if (!decodes(job) || (shares.length > 0 && decoded + left(job) > decodingRows - least)) continue;
    shares.push({ job, count: left(job) });
    decoded += left(job);
  }
  let room = decoded > 0 ? Math.min(capacity, Math.max(mixedRows, decoded + least)) - decoded : capacity;
  for (const job of prompts) {
    if (room <= 0) break;
    const count = Math.min(room, job.rowLimit, left(job));
    shares.push({ job, count });
    room -= count;
  }
  return shares;
}

/** Tokens of a share that want logits. */
export function outputsOf({ job, count }: Share<OutputJob>): number {
  if (job.outputs === "all") return count;
  return job.outputs === "last" && job.done + count === job.ids.length ? 1 : 0;
}

/** The shares whose logits have room in one step; the others wait for the next. */
export function withinOutputs<Owner extends OutputJob>(
  shares: readonly Share<Owner>[],
  capacity: number,
): Share<Owner>[] {
  let room = capacity;
  return shares.filter((share) => {
    const wanted = outputsOf(share);
    if (wanted > room) return false;
    room -= wanted;
    return true;
  });
}
