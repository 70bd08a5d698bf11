/** The device that Node computes on: the processor's SIMD with as many threads as it has, else plain TypeScript. */
import { createReferenceDevice } from "../../devices/reference/device.ts";
import { createWasmDevice } from "../../devices/wasm/device.ts";
import { CriaError } from "../../shared/errors.ts";
import type { Device } from "../../tensor/device.ts";
import { startThread, threadLimit } from "./threads.ts";

export interface CreateDeviceOptions {
  /** Default: as many as the machine runs at a time. */
  readonly threadCount?: number;
  /** Hears why a slower device was taken. */
  readonly log?: (message: string) => void;
}

export async function createNodeDevice(options: CreateDeviceOptions = {}): Promise<Device> {
  try {
    return await createWasmDevice({ startThread, threadCount: options.threadCount ?? threadLimit() });
  } catch (error) {
    if (!(error instanceof CriaError) || error.code !== "unsupported") throw error;
    options.log?.(`${error.message}: computing in plain TypeScript, which is about a hundred times slower`);
    return createReferenceDevice();
  }
}
