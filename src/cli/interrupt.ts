/**
 * Ctrl-C where something has to be tidied up: half-written files, or a conversation that goes on.
 *
 * Other commands leave Ctrl-C to the system, which ends them at once with 130, even in the midst of computing.
 */
import { constants } from "node:os";
import { setImmediate } from "node:timers/promises";

/** Ctrl-C, and what `kill`, a closed terminal and a machine that shuts down send. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs work with a signal that the first Ctrl-C, or another such signal, fires; the second ends the program. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  let ended: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals): void => {
    // What cannot be stopped is left as it is the second time.
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    if (signal !== "SIGINT") ended = signal;
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
    // Tidied up: now end as if nobody had listened, so that the caller sees which signal it was. Commands say themselves
    // what Ctrl-C stopped.
    if (ended) process.kill(process.pid, ended);
  }
}

/** Lets pending events in, Ctrl-C and a closed pipe among them: computing alone never gives way to them. */
export async function breathe(): Promise<void> {
  await setImmediate();
}
