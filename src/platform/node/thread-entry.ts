/** What a worker of the CPU device runs in Node. */
import { getPriority, platform, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { createThreadBody } from "../../devices/wasm/thread-body.ts";

/**
 * How far an engine's thread stands back, in steps of `nice`. It computes for seconds on end; the caller's thread wants a
 * processor for a moment, and with as many engine threads as cores it has to take it from one of them (docs/log.md).
 */
const STEPS_BACK = 5;

const port = parentPort;
if (port) {
  standBack();
  port.on(
    "message",
    createThreadBody((message) => port.postMessage(message)),
  );
}

/** Only on Linux, where a priority is a thread's. Elsewhere it is the whole process's, the caller's too. */
function standBack(): void {
  if (platform() !== "linux") return;
  try {
    if (getPriority() < STEPS_BACK) setPriority(STEPS_BACK);
  } catch {
    // A sandbox may forbid it. The thread computes the same with any priority.
  }
}
