/**
 * Cria for the browser: the same models as in Node, from an address, a file or the Hugging Face hub.
 *
 *   import { load } from "cria";
 *   const model = await load("https://example.org/model.gguf");
 *   for await (const piece of model.chat([{ role: "user", content: "Hello!" }])) output.append(piece);
 *
 * Threads need a page that is isolated from other origins: served with the headers
 * Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.
 */
import { createReferenceDevice } from "./devices/reference/device.ts";
import { createWasmDevice, sharesMemory } from "./devices/wasm/device.ts";
import { threadCountFor } from "./devices/wasm/threads.ts";
import type { FileSystem } from "./files/byte-source.ts";
import { parseModelName } from "./files/hub/name.ts";
import { remoteFiles } from "./files/remote-files.ts";
import { type LoadModelOptions, loadModel } from "./generate/load-model.ts";
import type { Model } from "./generate/model.ts";
import { blobFiles } from "./platform/browser/blob-files.ts";
import { canStore, deleteModel as deleteStored, storeModel } from "./platform/browser/model-store.ts";
import { startThread, threadLimit } from "./platform/browser/threads.ts";
import { CriaError } from "./shared/errors.ts";
import { hex } from "./shared/hex.ts";
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
export { listModels, type StoredModel } from "./platform/browser/model-store.ts";
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

export interface LoadOptions extends LoadModelOptions {
  /** Keep what is downloaded in the browser, for the next visit and without a network. Default true. */
  readonly store?: boolean;
  /** Told while a model is downloaded. */
  readonly onDownload?: (progress: { readonly receivedBytes: number; readonly totalBytes: number }) => void;
  /** Threads. Default: those of the machine, at most 8. */
  readonly threads?: number;
  /** Told once when the page lacks what makes it fast. */
  readonly onNotice?: (message: string) => void;
}

/**
 * Loads a model from an address, from a file that a person chose, or by name from the hub: `hf:user/repo/file.gguf`.
 *
 * @throws {CriaError} whose message says what was expected, what came and where.
 */
export async function load(source: string | Blob, options: LoadOptions = {}): Promise<Model> {
  const { path, files } = await filesOf(source, options);
  // A model in several memories has as many devices; what one says holds for all.
  const told = new Set<string>();
  const onNotice = (message: string): void => {
    if (!told.has(message)) options.onNotice?.(message);
    told.add(message);
  };
  const createDeviceHere = (): Promise<Device> => createDevice({ ...options, onNotice });
  const platform = {
    ...{ files, createDevice: createDeviceHere, hashFiles: (paths: readonly string[]) => hash(files, paths) },
  };
  return loadModel(path, platform, options);
}

/** Removes a model that was kept, by what `load` was given or `listModels` says; no error when it is not there. */
export async function deleteModel(source: string): Promise<void> {
  return deleteStored(addressOf(source));
}

async function filesOf(
  source: string | Blob,
  options: LoadOptions,
): Promise<{ path: string; files: FileSystem }> {
  if (typeof source !== "string") {
    const name = source instanceof File ? source.name : "model.gguf";
    return { path: name, files: withAddresses(blobFiles(source, name)) };
  }
  const url = addressOf(source);
  if (options.store === false || !canStore())
    return { path: url, files: remoteFiles(options.signal ? { signal: options.signal } : {}) };
  const file = await storeModel(url, {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onDownload ? { onProgress: options.onDownload } : {}),
  });
  const name = new URL(url).pathname.split("/").at(-1) ?? "model.gguf";
  return { path: name, files: withAddresses(blobFiles(file, name)) };
}

/** What belongs to a model, such as an adapter, comes from its own address. */
function withAddresses(files: FileSystem): FileSystem {
  const remote = remoteFiles({});
  return { ...files, open: (path) => (/^https?:/.test(path) ? remote : files).open(path) };
}

/** The address that a name stands for. */
function addressOf(source: string): string {
  if (!source.startsWith("hf:")) {
    const url = URL.parse(source, globalThis.location?.href);
    if (url) return url.href;
    throw new CriaError(
      "bad-input",
      `${source}: no address of a file; expected one such as https://example.org/model.gguf`,
    );
  }
  const name = parseModelName(source);
  if (name.kind !== "hub" || name.file === undefined)
    throw new CriaError("bad-input", `${source}: in a browser name the file too, as hf:user/repo/file.gguf`);
  return `https://huggingface.co/${name.repo}/resolve/${name.revision}/${name.file}`;
}

async function createDevice({ threads, onNotice }: LoadOptions): Promise<Device> {
  const threadCount = threadCountFor(threads, threadLimit());
  try {
    if (sharesMemory()) return await createWasmDevice({ startThread, threadCount });
    onNotice?.(
      "This page is not isolated from other origins, so the model runs on one thread. " +
        "Serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.",
    );
    return await createWasmDevice({ startThread });
  } catch (error) {
    if (!(error instanceof CriaError && error.code === "unsupported")) throw error;
    onNotice?.(`${error.message}; computing in plain JavaScript, which is many times slower`);
    return createReferenceDevice();
  }
}

/** SHA-256 of the files. Web Crypto hashes only what is in memory, so large files are read in one go. */
async function hash(files: FileSystem, paths: readonly string[]): Promise<string> {
  if (!crypto.subtle)
    throw new CriaError(
      "unsupported",
      "hash: browsers hash only for pages that came by https or from localhost",
    );
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const path of paths) {
    const source = await files.open(path);
    parts.push((await source.read(0, source.byteLength)) as Uint8Array<ArrayBuffer>);
    await source.close();
  }
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  return hex(new Uint8Array(digest));
}
