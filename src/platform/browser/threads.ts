/** Threads for the CPU device in a browser: module workers, which share its memory. */
import type { Thread } from "../../devices/wasm/threads.ts";

/** Threads that the machine runs at a time, as far as the browser tells. */
export function threadLimit(): number {
  return navigator.hardwareConcurrency || 1;
}

export function startThread(): Thread {
  // Bundlers find the worker by this very expression.
  const worker = new Worker(new URL("./thread-entry.js", import.meta.url), { type: "module" });
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onDeath) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = (event) =>
        onDeath(
          new Error(
            event.message ||
              `${new URL("./thread-entry.js", import.meta.url)} could not be started: is it where the bundler should have put it?`,
          ),
        );
    },
    keepAlive() {},
    async terminate() {
      worker.terminate();
      return false;
    },
  };
}
