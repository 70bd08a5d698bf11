/**
 * The threads that run plans. With a platform that can start threads, every one of them is a worker and the caller's
 * thread never computes: it gives a plan's address to the first worker and hears when the plan is done. Between the
 * workers no message passes; they keep step in shared memory (kernels/barrier.ts).
 *
 * Without such a platform a plan runs at once, on the caller's thread.
 */
import { CriaError } from "../../shared/errors.ts";
import {
  ASLEEP,
  DONE,
  END,
  ENDED,
  handshakeWords,
  PLAN,
  REQUEST,
  SMALL,
  type ThreadStart,
  WAITING,
} from "./handshake.ts";
import type { Kernels } from "./module.ts";

/** A worker as the device sees it. */
export interface Thread {
  post(message: unknown): void;
  /** What the thread says, and that it died. Set once, before the first message. */
  listen(onMessage: (message: unknown) => void, onDeath: (cause: unknown) => unknown): void;
  /** Whether the thread keeps the process from ending by itself. */
  keepAlive(alive: boolean): void;
  /**
   * Ends it, whatever it does. Resolves with whether it is surely gone: a browser lets a worker go on for seconds after it
   * was told to end.
   */
  terminate(): Promise<boolean>;
}

/** Starts a thread that passes each message it gets to one `createThreadBody`. */
export type StartThread = () => Thread;

export interface Threads {
  readonly count: number;
  /**
   * Runs the plan at an address; a promise if it is not done on return. One at a time. A small plan is one thread's: it
   * takes less time than keeping step would.
   */
  run(plan: number, small: boolean): Promise<void> | undefined;
  /** Ends the threads. Resolves with whether none will touch the memory any more. */
  dispose(): Promise<boolean>;
}

/** More threads than this seldom help: a token waits for the slowest at every op. */
const MOST_THREADS = 8;

/** As many threads as are asked for, or as `limit`, those that the machine runs at a time, makes sensible. */
export function threadCountFor(asked: number | undefined, limit: number): number {
  const count = asked ?? Math.min(limit, MOST_THREADS);
  if (!(Number.isInteger(count) && count >= 1 && count <= 64))
    throw new CriaError("bad-input", `threads is ${count}; expected an integer from 1 to 64`);
  return count;
}

/** Runs plans at once. */
export function callerThread(kernels: Kernels, control: number): Threads {
  return {
    count: 1,
    run: (plan) => {
      kernels.walk(control, plan, 0, 1);
      return undefined;
    },
    dispose: async () => true,
  };
}

/**
 * Runs plans on `count` workers. The first hears of a plan through shared memory while it is awake, else by a message;
 * the caller hears of its end in the same two ways. A message each way takes tens of microseconds, which is more than a
 * small model's token.
 */
export function workerThreads(
  start: StartThread,
  count: number,
  shared: Omit<ThreadStart, "thread" | "threadCount">,
): Threads {
  const words = handshakeWords(shared.memory, shared.control);
  Atomics.store(words, ASLEEP, 1);
  const ended = Promise.withResolvers<boolean>();
  let living = count;
  const threads = Array.from({ length: count }, start);
  let asked = 0;
  let waiting: PromiseWithResolvers<void> | undefined;
  let death: CriaError | undefined;

  const finish = (error?: CriaError): void => {
    const run = waiting;
    waiting = undefined;
    threads[0].keepAlive(false);
    if (error) run?.reject(error);
    else run?.resolve();
  };

  const terminate = async (): Promise<boolean> => {
    const gone = await Promise.all(threads.map((thread) => thread.terminate()));
    return gone.every(Boolean);
  };

  const die = (cause: unknown): void => {
    const why = cause instanceof Error && cause.message !== "" ? ` (${cause.message})` : "";
    death ??= new CriaError("device-lost", `a thread of the CPU device died${why}; load the model again`, {
      cause,
    });
    finish(death);
    // The others wait for it at a barrier.
    void terminate();
    ended.resolve(false);
  };

  const ask = (plan: number, small: boolean): void => {
    asked = (asked + 1) | 0;
    Atomics.store(words, PLAN, plan);
    Atomics.store(words, SMALL, Number(small));
    Atomics.store(words, REQUEST, asked);
    if (Atomics.load(words, ASLEEP) === 1) threads[0].post(asked);
  };

  threads.forEach((thread, index) => {
    thread.listen((message) => {
      if (message === ENDED) {
        if (--living === 0) ended.resolve(true);
        // A message about an earlier plan, whose end was seen without it, is late.
      } else if (message === asked) finish();
    }, die);
    const message: ThreadStart = { ...shared, thread: index, threadCount: count };
    thread.post(message);
    thread.keepAlive(false);
  });

  return {
    count,
    run(plan, small) {
      if (death) return Promise.reject(death);
      ask(plan, small);
      // With other workers at it this thread would only take their processor away.
      if ((small || count === 1) && isDoneSoon(words, asked)) return undefined;
      // Either the worker sees that it is waited for, or its end is seen here: both sides write before they read.
      Atomics.store(words, WAITING, asked);
      if (Atomics.load(words, DONE) === asked) return undefined;
      waiting = Promise.withResolvers<void>();
      threads[0].keepAlive(true);
      return waiting.promise;
    },
    async dispose() {
      if (death) return terminate();
      death = new CriaError("disposed", "the device was disposed");
      const running = waiting !== undefined;
      finish(death);
      // What runs is broken off: threads that were told to end hear no request any more.
      if (running) return terminate();
      ask(END, false);
      const late = setTimeout(() => ended.resolve(false), LONGEST_END);
      const orderly = await ended.promise;
      clearTimeout(late);
      return (await terminate()) || orderly;
    },
  };
}

/** Milliseconds that threads have to end by themselves, what they compute included. */
const LONGEST_END = 5000;

/**
 * How long the caller looks before it waits for a message: longer than a token of a small model takes, and a fraction of
 * what a timer's beat may be off.
 */
const CALLER_MILLISECONDS = 0.3;
/** Looks between two at the clock: some microseconds. */
const CALLER_LOOKS = 500;

function isDoneSoon(words: Int32Array, asked: number): boolean {
  const end = performance.now() + CALLER_MILLISECONDS;
  do {
    for (let look = 0; look < CALLER_LOOKS; look++) if (Atomics.load(words, DONE) === asked) return true;
  } while (performance.now() < end);
  return false;
}
