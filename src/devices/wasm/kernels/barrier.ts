/**
 * How the threads of a device keep step, in a few words of shared memory (`control`):
 *
 *   0 how many threads have arrived at the barrier      64 how many barriers have been passed
 *   128 how many plans have been started                132 the plan's address, 0 to end the threads
 *   136 how often a waiting thread looks before it sleeps
 *   140 whether products with few tokens read many streams of weights (multiply-packed.ts)
 *   192 how many pieces of the call's work are taken
 *   256 the handshake of the caller and the first worker (handshake.ts)
 *   512 for each thread, in a cache line of its own: how many of its pieces are taken
 *
 * A waiting thread looks again and again for a while, because the others are mostly microseconds behind, and then
 * sleeps: waking it costs tens of microseconds, but it burns no processor that the other threads may need. How long a
 * look takes differs by processor, so the device measures it (timing.ts).
 */
import { walk } from "./index";

const ARRIVED: usize = 0;
const PASSED: usize = 64;
const STARTED: usize = 128;
const PLAN: usize = 132;
const LOOKS: usize = 136;
export const MANY_STREAMS: usize = 140;
const TAKEN: usize = 192;
const SHARES: usize = 512;
const SHARE_BYTES: usize = 64;

/** Returns when all threads are here. */
@inline
export function waitForAll(control: usize, threadCount: i32): void {
  if (threadCount > 1) arrive(control, threadCount);
  else putBack(control, 1);
}

/** The next piece of the call's work that no thread has: which thread does what changes no bit of it. */
@inline
export function takePiece(control: usize): i32 {
  return atomic.add<i32>(control + TAKEN, 1);
}

/**
 * The next of `pieces` pieces for each thread, or -1 when all are taken. A thread goes through its own from the first on,
 * which lie behind each other in memory and are read as one stream; when it is done it takes the last ones of a thread
 * that was held up. A word counts those taken by its thread, and above 16 bits those taken by others.
 */
export function takeOwnPiece(control: usize, thread: i32, threadCount: i32, pieces: i32): i32 {
  for (let distance = 0; distance < threadCount; distance++) {
    const owner = (thread + distance) % threadCount;
    const word = control + SHARES + <usize>owner * SHARE_BYTES;
    const own = distance == 0;
    for (;;) {
      const taken = atomic.load<i32>(word);
      const first = taken & 0xffff;
      const last = taken >>> 16;
      if (first + last >= pieces) break;
      if (atomic.cmpxchg<i32>(word, taken, taken + (own ? 1 : 0x10000)) == taken)
        return owner * pieces + (own ? first : pieces - 1 - last);
    }
  }
  return -1;
}

/** All pieces are there again, for the next call. */
function putBack(control: usize, threadCount: i32): void {
  atomic.store<i32>(control + TAKEN, 0);
  for (let thread = 0; thread < threadCount; thread++)
    atomic.store<i32>(control + SHARES + <usize>thread * SHARE_BYTES, 0);
}

function arrive(control: usize, threadCount: i32): void {
  const passed = atomic.load<i32>(control + PASSED);
  if (atomic.add<i32>(control + ARRIVED, 1) == threadCount - 1) {
    atomic.store<i32>(control + ARRIVED, 0);
    putBack(control, threadCount);
    atomic.add<i32>(control + PASSED, 1);
    atomic.notify(control + PASSED, -1);
  } else waitWhile(control + PASSED, passed, load<i32>(control + LOOKS));
}

/** Returns when the word at `at` is no longer `value`; sleeps after so many looks. */
function waitWhile(at: usize, value: i32, looks: i32): void {
  if (look(at, value, looks)) return;
  while (atomic.load<i32>(at) == value) atomic.wait<i32>(at, value, -1);
}

/** Whether the word at `at` became another than `value` within so many looks. */
export function look(at: usize, value: i32, looks: i32): bool {
  for (let count = 0; count < looks; count++) if (atomic.load<i32>(at) != value) return true;
  return false;
}

/** Starts a plan on the threads that follow; 0 ends them. The caller walks it too, as thread 0. */
export function release(control: usize, plan: usize): void {
  atomic.store<i32>(control + PLAN, <i32>plan);
  atomic.add<i32>(control + STARTED, 1);
  atomic.notify(control + STARTED, -1);
}

/** What a thread other than the first does all its life: walks each plan that is started. */
export function follow(control: usize, thread: i32, threadCount: i32): void {
  let started = 0;
  while (true) {
    // Between plans the caller's thread has work, for which there may be no other processor.
    waitWhile(control + STARTED, started, load<i32>(control + LOOKS) >> 1);
    // Plans come one by one: the next is started only after all threads have walked this one.
    started++;
    const plan = <usize>(<u32>atomic.load<i32>(control + PLAN));
    if (plan == 0) return;
    walk(control, plan, thread, threadCount);
  }
}
