/**
 * Cria for Node: `load` a model, then `generate`, `chat` or measure it.
 *
 *   import { load } from "cria";
 *   const model = await load("hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M");
 *   for await (const piece of model.chat([{ role: "user", content: "Hello!" }])) process.stdout.write(piece);
 */
import { createReferenceDevice } from "./devices/reference/device.ts";
import { type LoadModelOptions, loadModel } from "./generate/load-model.ts";
import type { Model } from "./generate/model.ts";
import { nodeFiles } from "./platform/node/file-system.ts";
import { hashFiles } from "./platform/node/hash.ts";
import { type ResolveOptions, resolveModel } from "./platform/node/hub/resolve.ts";

export { type PerplexityOptions, type PerplexityResult, perplexity } from "./evaluate/perplexity.ts";
export type { ChatMessage } from "./generate/chat-format/messages.ts";
export type { GeneratedToken, GenerateOptions, GenerationResult, Timings } from "./generate/generate.ts";
export type { Generation } from "./generate/generation.ts";
export type { ChatResult, Model, PromptOptions } from "./generate/model.ts";
export type { SamplingOptions } from "./generate/sampler.ts";
export { CriaError, type CriaErrorCode } from "./shared/errors.ts";
export type { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface LoadOptions extends LoadModelOptions, ResolveOptions {}

/**
 * Loads a model from a path (a file, or a folder of one), or by name from the Hugging Face hub: `hf:user/repo:QUANT`,
 * `hf:user/repo/file.gguf`. What the hub gives is kept in its cache.
 *
 * @throws {CriaError} whose message says what was expected, what came and where.
 */
export async function load(source: string, options: LoadOptions = {}): Promise<Model> {
  const path = await resolveModel(source, options);
  return loadModel(path, { files: nodeFiles, createDevice: createReferenceDevice, hashFiles }, options);
}
