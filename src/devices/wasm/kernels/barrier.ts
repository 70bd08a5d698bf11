/**
 * How the threads of a device keep step, in a few words of shared memory (`control`):
 *
 *   0 how many threads have arrived at the barrier      64 how many barriers have been passed
 *   128 how many plans have been started                132 the plan's address, 0 to end the threads
 *   192 how many pieces of the call's work are taken
 *
 * A waiting thread looks again and again for a while, because the others are mostly microseconds behind, and then
 * sleeps: waking it costs tens of microseconds, but it burns no processor that the other threads may need.
 */
import { walk } from "./index";

const ARRIVED: usize = 0;
const PASSED: usize = 64;
const STARTED: usize = 128;
const PLAN: usize = 132;
const TAKEN: usize = 192;

/** Looks before sleeping: about 50 µs. */
const SPINS = 20000;

/** Returns when all threads are here. */
@inline
export function waitForAll(control: usize, threadCount: i32): void {
  if (threadCount > 1) arrive(control, threadCount);
  else atomic.store<i32>(control + TAKEN, 0);
}

/** The next piece of the call's work that no thread has: which thread does what changes no bit of it. */
@inline
export function takePiece(control: usize): i32 {
  return atomic.add<i32>(control + TAKEN, 1);
}

function arrive(control: usize, threadCount: i32): void {
  const passed = atomic.load<i32>(control + PASSED);
  if (atomic.add<i32>(control + ARRIVED, 1) == threadCount - 1) {
    atomic.store<i32>(control + ARRIVED, 0);
    atomic.store<i32>(control + TAKEN, 0);
    atomic.add<i32>(control + PASSED, 1);
    atomic.notify(control + PASSED, -1);
  } else waitWhile(control + PASSED, passed);
}

/** Returns when the word at `at` is no longer `value`. */
function waitWhile(at: usize, value: i32): void {
  for (let spin = 0; spin < SPINS; spin++) if (atomic.load<i32>(at) != value) return;
  while (atomic.load<i32>(at) == value) atomic.wait<i32>(at, value, -1);
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
    waitWhile(control + STARTED, started);
    // Plans come one by one: the next is started only after all threads have walked this one.
    started++;
    const plan = <usize>(<u32>atomic.load<i32>(control + PLAN));
    if (plan == 0) return;
    walk(control, plan, thread, threadCount);
  }
}
