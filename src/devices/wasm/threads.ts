/**
 * The threads that run plans. With a platform that can start threads, every one of them is a worker and the caller's
 * thread never computes: it posts a plan's address to the first worker and hears when the plan is done. Between the
 * workers no message passes; they keep step in shared memory (kernels/barrier.ts).
 *
 * Without such a platform a plan runs at once, on the caller's thread.
 */
import { CriaError } from "../../shared/errors.ts";
import { instantiate, type Kernels } from "./binary.ts";

/** A worker as the device sees it. */
export interface Thread {
  post(message: unknown): void;
  /** What the thread says, and that it died. Set once, before the first message. */
  listen(onMessage: (message: unknown) => void, onDeath: (cause: unknown) => unknown): void;
  /** Whether the thread keeps the process from ending by itself. */
  keepAlive(alive: boolean): void;
  /** Resolves when it is gone. */
  terminate(): Promise<unknown>;
}

/** Starts a thread that passes each message it gets to one `createThreadBody`. */
export type StartThread = () => Thread;

/** The first message to a thread. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the words by which threads keep step. */
  readonly control: number;
  readonly thread: number;
  readonly threadCount: number;
}

/** Bytes of the words by which threads keep step. */
export const CONTROL_BYTES = 256;

export interface Threads {
  readonly count: number;
  /** Whether plans run on the thread that asks for them. */
  readonly onCaller: boolean;
  /** Runs the plan at an address; a promise where that happens elsewhere. One at a time. */
  run(plan: number): Promise<void> | undefined;
  /** Ends the threads; resolves when they are gone. What runs is broken off. */
  dispose(): Promise<unknown>;
}

/** Runs plans at once. */
export function callerThread(kernels: Kernels, control: number): Threads {
  return {
    count: 1,
    onCaller: true,
    run: (plan) => {
      kernels.walk(control, plan, 0, 1);
      return undefined;
    },
    dispose: async () => {},
  };
}

/** Runs plans on `count` workers. */
export function workerThreads(
  start: StartThread,
  count: number,
  shared: Omit<ThreadStart, "thread" | "threadCount">,
): Threads {
  const threads = Array.from({ length: count }, start);
  let waiting: PromiseWithResolvers<void> | undefined;
  let death: CriaError | undefined;

  const finish = (error?: CriaError): void => {
    const run = waiting;
    waiting = undefined;
    threads[0].keepAlive(false);
    if (error) run?.reject(error);
    else run?.resolve();
  };

  const die = (cause: unknown): Promise<unknown> => {
    death ??= new CriaError("device-lost", "a thread of the CPU device died; load the model again", {
      cause,
    });
    finish(death);
    // The others wait for it at a barrier.
    return Promise.all(threads.map((thread) => thread.terminate()));
  };

  threads.forEach((thread, index) => {
    thread.listen(() => finish(), die);
    const message: ThreadStart = { ...shared, thread: index, threadCount: count };
    thread.post(message);
    thread.keepAlive(false);
  });

  return {
    count,
    onCaller: false,
    run(plan) {
      if (death) return Promise.reject(death);
      waiting = Promise.withResolvers<void>();
      threads[0].keepAlive(true);
      threads[0].post(plan);
      return waiting.promise;
    },
    dispose() {
      return die(new CriaError("disposed", "the device was disposed"));
    },
  };
}

/** What a worker does with its messages: the first starts it, each later one is the address of a plan to run. */
export function createThreadBody(post: (message: unknown) => void): (message: unknown) => void {
  let run: ((plan: number) => void) | undefined;
  return (message) => {
    if (run) {
      run(message as number);
      post(message);
      return;
    }
    const { module, memory, control, thread, threadCount } = message as ThreadStart;
    const kernels = instantiate(module, memory);
    // Does not return: a following thread lives inside the module.
    if (thread > 0) kernels.follow(control, thread, threadCount);
    run = (plan) => {
      if (threadCount > 1) kernels.release(control, plan);
      kernels.walk(control, plan, 0, threadCount);
    };
  };
}
