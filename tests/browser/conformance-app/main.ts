/** The cases of tests/conformance in a page: `hashCasesWith` runs them all on a CPU device of its own. */
import { createWasmDevice, type WasmDeviceOptions } from "../../../src/devices/wasm/device.ts";
import type { Thread } from "../../../src/devices/wasm/threads.ts";
import { hashCases } from "../../conformance/run-case.ts";

/** As platform/browser/threads.ts, whose worker is named as it is after compiling. */
function startThread(): Thread {
  const worker = new Worker(new URL("../../../src/platform/browser/thread-entry.ts", import.meta.url), {
    type: "module",
  });
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onDeath) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = (event) => onDeath(new Error(event.message));
    },
    keepAlive() {},
    async terminate() {
      worker.terminate();
      return false;
    },
  };
}

async function hashCasesWith({
  threads,
  ...options
}: WasmDeviceOptions & { threads: number }): Promise<Record<string, string>> {
  const workers = threads > 0 ? { startThread, threadCount: threads, smallWork: 0 } : {};
  const device = await createWasmDevice({ ...options, ...workers });
  try {
    return await hashCases(device);
  } finally {
    device.dispose();
  }
}

Object.assign(globalThis, { hashCasesWith });
