/**
 * What is found out by timing when a device starts, since processors differ:
 *
 * - which way of summing products is the fastest: where the 32-bit dot product is one instruction (VNNI) it wins, where
 *   it is three the 16-bit one does. Both are exact, so the choice changes no result.
 * - how often a thread can look at a word while it waits for the others.
 */

import type { Heap } from "./heap.ts";
import * as codes from "./kernels/codes.ts";
import { writePlan } from "./lower.ts";
import type { Kernels } from "./module.ts";
import type { MemorySpace } from "./space.ts";
import { HALF_CONSTANTS, ONES } from "./words.ts";

const ROWS = 64;
const COLUMNS = 1024;
/** Long enough for the engine to compile the loops with its best compiler. */
const WARM_UP_MILLISECONDS = 3;
const TURNS = 5;

/** What products are timed with; places are given back. */
export interface TimingPlace {
  readonly kernels: Kernels;
  readonly space: MemorySpace;
  readonly heap: Heap;
  readonly control: number;
}

/** Times a small product in cache, a millisecond each way. */
export function fastestMode(where: TimingPlace, modes: readonly number[]): number {
  const { kernels, heap } = where;
  if (!modes.includes(codes.SUM_QUADS)) return codes.SUM_PAIRS;
  const quads = modes.includes(codes.SUM_QUADS_OF_BYTES) ? codes.SUM_QUADS_OF_BYTES : codes.SUM_QUADS;
  if (!modes.includes(codes.SUM_PAIRS)) return quads;
  const byteLength = 2 * PLAN_BYTES + weightBytes(kernels) + 64 * COLUMNS;
  const place = heap.allocate(byteLength);
  const pairsTimer = timer(where, place, place, codes.SUM_PAIRS);
  const quadsTimer = timer(where, place, place + PLAN_BYTES, quads);
  pairsTimer(WARM_UP_MILLISECONDS);
  quadsTimer(WARM_UP_MILLISECONDS);
  let pairsWins = 0;
  for (let turn = 0; turn < TURNS; turn++) if (pairsTimer(0.2) > quadsTimer(0.2)) pairsWins++;
  heap.free(place, byteLength);
  return pairsWins > TURNS / 2 ? codes.SUM_PAIRS : quads;
}

const PLAN_BYTES = 2 * codes.CALL_BYTES;

function weightBytes(kernels: Kernels): number {
  return (ROWS / 8) * kernels.groupBytes(codes.Q4_0, COLUMNS);
}

/** A function that runs a product of zeros for some time and returns how often it ran in a millisecond. */
function timer(
  { kernels, space, control }: TimingPlace,
  place: number,
  plan: number,
  mode: number,
): (milliseconds: number) => number {
  const w = place + 2 * PLAN_BYTES;
  const count = w + weightBytes(kernels);
  const y = count + 64;
  const records = y + 4 * ROWS;
  // 48 bytes for 32 columns before it; it is all of one thread's.
  const scratch = records + 2 * COLUMNS;
  const one = 1;
  const words = [codes.MULTIPLY_PACKED, records, 0, w, codes.Q4_0, ROWS, COLUMNS, y, 4 * ROWS, 0, 0, count];
  new Int32Array(space.bytes.buffer, count, 1)[0] = one;
  writePlan(space.bytes, plan, [Int32Array.from([...words, 0, mode, ONES, scratch, 0, ...HALF_CONSTANTS])]);
  return (milliseconds) => {
    const start = performance.now();
    let runs = 0;
    let elapsed = 0;
    while (elapsed < milliseconds) {
      for (let i = 0; i < 8; i++) kernels.walk(control, plan, 0, 1);
      runs += 8;
      elapsed = performance.now() - start;
    }
    return runs / elapsed;
  };
}

/** How long a thread waits awake: longer than the others are mostly behind, and than being woken takes. */
const AWAKE_MILLISECONDS = 0.2;
const LOOKS_A_TIME = 20_000;
const LOOK_MILLISECONDS = 2;

/** Looks that a waiting thread has before it sleeps. */
export function looksBeforeSleep(kernels: Kernels, control: number): number {
  // The best of many: the first ones run as the engine first compiled them.
  let shortest = Number.POSITIVE_INFINITY;
  const end = performance.now() + LOOK_MILLISECONDS;
  for (let start = performance.now(); start < end; ) {
    kernels.look(control, 0, LOOKS_A_TIME);
    const now = performance.now();
    // A coarse clock may not have moved.
    if (now > start) shortest = Math.min(shortest, now - start);
    start = now;
  }
  return Math.ceil((LOOKS_A_TIME * AWAKE_MILLISECONDS) / shortest);
}
