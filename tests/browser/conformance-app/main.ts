/** The cases of tests/conformance in a page: `hashCasesWith` runs them all on a CPU device of its own. */
import { createWasmDevice, type WasmDeviceOptions } from "../../../src/devices/wasm/device.ts";
import { startThread } from "../../../src/platform/browser/threads.ts";
import { hashCases } from "../../conformance/run-case.ts";

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
