/**
 * Runs a target over mutants and tells which of them it does not bear: an error that is no CriaError, more than a
 * second, or more memory than a small file can need.
 *
 * Flow: targets/ → mutate.ts → runMutants → fuzz.ts (through worker.ts), tests/golden/fuzz.test.ts.
 */
import { CriaError } from "../../src/shared/errors.ts";
import { mutantOf } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

export interface Finding {
  readonly index: number;
  readonly kind: "error" | "slow" | "memory" | "hang";
  readonly message: string;
}

export interface FuzzRange {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
}

const SLOW_MILLISECONDS = 1000;
/** Mutants have some kilobytes; what is collected while one runs is not seen, so this is far below "too much". */
const MOST_BYTES = 64 << 20;

export interface FuzzTotals {
  readonly findings: Finding[];
  /** Mutants that the target read without an error, though they are broken. */
  readonly acceptedCount: number;
}

/** Runs the mutants of a range in order; `onIndex` is called before each. */
export async function runMutants(
  target: FuzzTarget,
  { seed, first, count }: FuzzRange,
  onIndex?: (index: number) => void,
): Promise<FuzzTotals> {
  const seeds = await target.seeds();
  const findings: Finding[] = [];
  let acceptedCount = 0;
  for (let index = first; index < first + count; index++) {
    onIndex?.(index);
    const result = await runOnce(target, mutantOf(seeds, target.tokens ?? [], seed, index));
    if (result === "accepted") acceptedCount++;
    else if (result !== "refused") findings.push({ index, ...result });
  }
  return { findings, acceptedCount };
}

/** Runs one file. */
export async function runOnce(
  target: FuzzTarget,
  bytes: Uint8Array,
): Promise<"accepted" | "refused" | Omit<Finding, "index">> {
  const measured = await measure(target, bytes);
  if (measured.result === "accepted" || measured.result === "refused") {
    // A busy machine or a garbage collection can make one run look slow or large, but not two.
    if (measured.milliseconds > SLOW_MILLISECONDS) {
      const again = await measure(target, bytes);
      if (again.milliseconds > SLOW_MILLISECONDS)
        return { kind: "slow", message: `took ${Math.round(again.milliseconds)} ms` };
    }
    if (measured.grownBytes > MOST_BYTES) {
      const again = await measure(target, bytes);
      if (again.grownBytes > MOST_BYTES)
        return {
          kind: "memory",
          message: `took ${again.grownBytes >> 20} MiB for a file of ${bytes.length} bytes`,
        };
    }
  }
  return measured.result;
}

async function measure(target: FuzzTarget, bytes: Uint8Array) {
  const before = heldBytes();
  const start = performance.now();
  let result: "accepted" | "refused" | Omit<Finding, "index"> = "accepted";
  try {
    await target.run(bytes);
  } catch (error) {
    result = error instanceof CriaError ? "refused" : { kind: "error", message: describe(error) };
  }
  return { result, milliseconds: performance.now() - start, grownBytes: heldBytes() - before };
}

function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : `threw ${String(error)}`;
}
