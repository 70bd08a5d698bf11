/**
 * Cria for Node: `load` a model, then `generate`, `chat` or measure it.
 *
 *   import { load } from "cria";
 *   const model = await load("hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M");
 *   for await (const piece of model.chat([{ role: "user", content: "Hello!" }])) process.stdout.write(piece);
 */
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
export { type LoadOptions, load } from "./platform/node/load.ts";
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
