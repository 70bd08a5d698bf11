/**
 * Cria for Node: `load` a model, then `generate`, `chat` or measure it.
 *
 *   import { load } from "cria";
 *   const model = await load("hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M");
 *   for await (const piece of model.chat([{ role: "user", content: "Hello!" }])) process.stdout.write(piece);
 */
import { totalmem } from "node:os";
import { createReferenceDevice } from "./devices/reference/device.ts";
import { createWasmDevice } from "./devices/wasm/device.ts";
import { threadCountFor } from "./devices/wasm/threads.ts";
import { type LoadModelOptions, loadModel } from "./generate/load-model.ts";
import type { Model } from "./generate/model.ts";
import { defaultModelPath } from "./platform/node/default-model.ts";
import { nodeFiles } from "./platform/node/file-system.ts";
import { hashFiles } from "./platform/node/hash.ts";
import { type ResolveOptions, resolveModel } from "./platform/node/hub/resolve.ts";
import { startThread, threadLimit } from "./platform/node/threads.ts";
import { CriaError } from "./shared/errors.ts";
import type { Device } from "./tensor/device.ts";

export { type PerplexityOptions, type PerplexityResult, perplexity } from "./evaluate/perplexity.ts";
export type { ChatMessage } from "./generate/chat-format/messages.ts";
export type { Constraint } from "./generate/constraint.ts";
export type { GeneratedToken, GenerateOptions, GenerationResult, Timings } from "./generate/generate.ts";
export type { Generation } from "./generate/generation.ts";
export { type GenerateJsonOptions, generateJson, type JsonResult } from "./generate/json.ts";
export type { ChatResult, Model, PromptOptions } from "./generate/model.ts";
export type { SamplingOptions } from "./generate/sampler.ts";
export {
  gbnfConstraint,
  type JsonOptions,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  regexConstraint,
} from "./grammar/index.ts";
export {
  chatWithTools,
  defineTool,
  type Tool,
  type ToolChatOptions,
  type ToolChatResult,
  type ToolRun,
} from "./sdk/tools.ts";
export { CriaError, type CriaErrorCode } from "./shared/errors.ts";
export type { Tokenizer } from "./tokenizer/tokenizer.ts";

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
  const createDeviceHere = (): Promise<Device> => createDevice(options);
  const platform = {
    files: nodeFiles,
    createDevice: createDeviceHere,
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
