/** Threads for the CPU device in Node: workers, which share its memory. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Thread } from "../../devices/wasm/threads.ts";

/** Threads that the machine runs at a time. */
export function threadLimit(): number {
  return availableParallelism();
}

export function startThread(): Thread {
  // The sources run as they are, and compiled files lie beside each other in the same way.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./thread-entry.${extension}`, import.meta.url));
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onDeath) {
      worker.on("message", onMessage);
      worker.on("error", onDeath);
      worker.on("exit", (code) => onDeath(new Error(`the worker ended with code ${code}`)));
    },
    keepAlive: (alive) => (alive ? worker.ref() : worker.unref()),
    async terminate() {
      await worker.terminate();
      return true;
    },
  };
}
