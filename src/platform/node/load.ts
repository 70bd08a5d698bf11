/**
 * Loads a model in Node: finds or downloads its files, and chooses the device.
 *
 * Flow: a path or name → hub/resolve.ts → loadModel (generate/load-model.ts) → Model.
 */
import { totalmem } from "node:os";
import { createReferenceDevice } from "../../devices/reference/device.ts";
import { createWasmDevice } from "../../devices/wasm/device.ts";
import { threadCountFor } from "../../devices/wasm/threads.ts";
import { type LoadModelOptions, loadModel } from "../../generate/load-model.ts";
import type { Model } from "../../generate/model.ts";
import { CriaError } from "../../shared/errors.ts";
import type { Device } from "../../tensor/device.ts";
import { defaultModelPath } from "./default-model.ts";
import { nodeFiles } from "./file-system.ts";
import { hashFiles } from "./hash.ts";
import { type ResolveOptions, resolveModel } from "./hub/resolve.ts";
import { startThread, threadLimit } from "./threads.ts";

export interface LoadOptions extends LoadModelOptions, ResolveOptions {
  /** Where to compute: "wasm" (the CPU, fast) or "reference" (plain TypeScript). Default: wasm where it runs. */
  readonly device?: "wasm" | "reference";
  /** Threads of the wasm device. Default: those of the machine, at most 8. */
  readonly threads?: number;
  /** Told once when the machine lacks what the wasm device needs, so that the slow reference device is used. */
  readonly onNotice?: (message: string) => void;
}

/**
 * Loads a model from a path (a file, or a folder of one), or by name from the Hugging Face hub: `hf:user/repo:QUANT`,
 * `hf:user/repo/file.gguf`. What the hub gives is kept in its cache. Without a source it is the model that comes with
 * the package, which tells small stories and needs no network.
 *
 * @throws {CriaError} whose message says what was expected, what came and where.
 */
export async function load(source: string = defaultModelPath(), options: LoadOptions = {}): Promise<Model> {
  const path = await resolveModel(source, options);
  const platform = {
    files: nodeFiles,
    createDevice: (): Promise<Device> => createDevice(options),
    hashFiles,
    memoryBytes: machineMemory(),
  };
  return loadModel(path, platform, options);
}

/** What the process may use: a container has less than its machine. */
function machineMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

async function createDevice({ device, threads, onNotice }: LoadOptions): Promise<Device> {
  const threadCount = threadCountFor(threads, threadLimit());
  if (device === "reference") return createReferenceDevice();
  try {
    return await createWasmDevice({ startThread, threadCount });
  } catch (error) {
    if (device === "wasm" || !(error instanceof CriaError && error.code === "unsupported")) throw error;
    onNotice?.(`${error.message}; computing in plain TypeScript, which is many times slower`);
    return createReferenceDevice();
  }
}
