/**
 * Ctrl-C where something has to be tidied up: half-written files, or a conversation that goes on.
 *
 * Other commands leave Ctrl-C to the system, which ends them at once with 130, even in the midst of computing.
 */
import { setImmediate } from "node:timers/promises";

/** Runs work with a signal that the first Ctrl-C fires; the second ends the program. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** Lets pending events in, Ctrl-C and a closed pipe among them: computing alone never gives way to them. */
export async function breathe(): Promise<void> {
  await setImmediate();
}
