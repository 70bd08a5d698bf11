/**
 * Ctrl-C where something has to be tidied up: half-written files, or a conversation that goes on.
 *
 * Other commands leave Ctrl-C to the system, which ends them at once with 130, even in the midst of computing.
 */
import { constants } from "node:os";
import { setImmediate } from "node:timers/promises";

/** What `kill`, a closed terminal and a machine that shuts down send. */
const ENDINGS = ["SIGTERM", "SIGHUP"] as const;

/** Runs work with a signal that the first Ctrl-C fires; the second ends the program. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  let ended: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals): void => {
    // What cannot be stopped is left as it is the second time.
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    ended = signal;
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  for (const signal of ENDINGS) process.on(signal, end);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
    for (const signal of ENDINGS) process.off(signal, end);
    // Tidied up: now end as if nobody had listened, so that the caller sees which signal it was.
    if (ended) process.kill(process.pid, ended);
  }
}

/** Lets pending events in, Ctrl-C and a closed pipe among them: computing alone never gives way to them. */
export async function breathe(): Promise<void> {
  await setImmediate();
}
