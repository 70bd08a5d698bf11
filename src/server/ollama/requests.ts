/**
 * What Ollama's clients send, checked.
 *
 * Options that choose how a model is loaded or how fast it runs have no effect here, since the model is loaded already;
 * those that would change the text and cannot be honoured are refused by name.
 *
 * Flow: JSON → schemas here → ollama/chat.ts, generate.ts, lists.ts.
 */
import { z } from "@hono/zod-openapi";
import type { GenerateOptions } from "../../generate/generate.ts";
import type { ToolDefinition } from "../../generate/tools/tool-definition.ts";
import type { RecommendedSampling } from "../../model/recommended-sampling.ts";
import { defined } from "../../shared/defined.ts";
import type { JsonSchema } from "../openai/fields.ts";
import { toolDefinition } from "../openai/requests.ts";

export interface OllamaOptions {
  readonly num_predict?: number | undefined;
  readonly temperature?: number | undefined;
  readonly top_k?: number | undefined;
  readonly top_p?: number | undefined;
  readonly min_p?: number | undefined;
  readonly repeat_penalty?: number | undefined;
  readonly repeat_last_n?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop?: string | readonly string[] | undefined;
}

interface CommonFields {
  readonly model: string;
  readonly stream?: boolean | undefined;
  readonly format?: "" | "json" | JsonSchema | undefined;
  readonly options?: OllamaOptions | undefined;
  readonly logprobs?: boolean | undefined;
  readonly top_logprobs?: number | undefined;
}

export interface OllamaMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content?: string | undefined;
  readonly tool_name?: string | undefined;
  readonly tool_calls?:
    | readonly {
        readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> };
      }[]
    | null
    | undefined;
}

export interface OllamaChatRequest extends CommonFields {
  readonly messages?: readonly OllamaMessage[] | undefined;
  readonly tools?: readonly ToolDefinition[] | undefined;
}

export interface OllamaGenerateRequest extends CommonFields {
  readonly prompt?: string | undefined;
  readonly system?: string | undefined;
  readonly raw?: boolean | undefined;
  /** Ids of an earlier exchange, to be continued. */
  readonly context?: readonly number[] | undefined;
}

const ignored = z.unknown().optional();
const neutral = (value: number | boolean) =>
  z.literal(value, `this server does not have it; leave it out or send ${value}`).optional();

const options = z.strictObject({
  num_predict: z.number().int().min(-2).optional(),
  temperature: z.number().min(0).optional(),
  top_k: z.number().int().min(0).optional(),
  top_p: z.number().min(0).max(1).optional(),
  min_p: z.number().min(0).max(1).optional(),
  repeat_penalty: z.number().gt(0).optional(),
  repeat_last_n: z.number().int().min(-1).optional(),
  frequency_penalty: z.number().optional(),
  presence_penalty: z.number().optional(),
  seed: z.number().int().optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
  typical_p: neutral(1),
  mirostat: neutral(0),
  mirostat_tau: ignored,
  mirostat_eta: ignored,
  penalize_newline: ignored,
  tfs_z: neutral(1),
  num_ctx: ignored,
  num_keep: ignored,
  num_batch: ignored,
  num_gpu: ignored,
  main_gpu: ignored,
  num_thread: ignored,
  numa: ignored,
  low_vram: ignored,
  f16_kv: ignored,
  vocab_only: ignored,
  use_mmap: ignored,
  use_mlock: ignored,
  draft_num_predict: ignored,
});

const common = {
  model: z.string(),
  stream: z.boolean().optional(),
  format: z
    .union([z.enum(["", "json"]), z.record(z.string(), z.unknown())])
    .optional()
    .openapi({ description: "json, or a JSON schema" }),
  options: options.optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.number().int().min(0).max(20).optional(),
  keep_alive: ignored,
  think: neutral(false),
  truncate: ignored,
  shift: ignored,
};

const noImages = z.array(z.unknown()).max(0, "this server takes no images").nullish();

export const ollamaChatRequest: z.ZodType<OllamaChatRequest> = z
  .strictObject({
    ...common,
    messages: z
      .array(
        z.strictObject({
          role: z.enum(["system", "user", "assistant", "tool"]),
          content: z.string().optional(),
          thinking: ignored,
          images: noImages,
          tool_name: z.string().optional(),
          tool_call_id: ignored,
          tool_calls: z
            .array(
              z.object({
                function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
              }),
            )
            .nullish(),
        }),
      )
      .optional(),
    tools: z.array(toolDefinition).optional(),
  })
  .openapi("OllamaChatRequest");

export const ollamaGenerateRequest: z.ZodType<OllamaGenerateRequest> = z
  .strictObject({
    ...common,
    prompt: z.string().optional(),
    system: z.string().optional(),
    raw: z.boolean().optional(),
    context: z.array(z.number().int().min(0)).optional(),
    images: noImages,
    suffix: z.literal("", "this server does not fill in text before a suffix").optional(),
    template: z.literal("", "this server uses the model's own chat template").optional(),
  })
  .openapi("OllamaGenerateRequest");

export interface OllamaEmbedRequest {
  readonly model: string;
  readonly input?: string | readonly string[] | undefined;
  readonly dimensions?: number | undefined;
  readonly truncate?: boolean | undefined;
}

export const ollamaEmbedRequest: z.ZodType<OllamaEmbedRequest> = z
  .strictObject({
    model: z.string(),
    input: z.union([z.string(), z.array(z.string())]).optional(),
    dimensions: z.number().int().min(1).optional(),
    truncate: z.boolean().optional(),
    options: z.unknown().optional(),
    keep_alive: ignored,
  })
  .openapi("OllamaEmbedRequest");

/** The older way, with one text. */
export const ollamaEmbeddingsRequest: z.ZodType<{ readonly model: string; readonly prompt: string }> = z
  .strictObject({
    model: z.string(),
    prompt: z.string(),
    options: z.unknown().optional(),
    keep_alive: ignored,
  })
  .openapi("OllamaEmbeddingsRequest");

export const ollamaShowRequest: z.ZodType<{
  readonly model?: string | undefined;
  readonly name?: string | undefined;
}> = z
  .strictObject({
    model: z.string().optional(),
    name: z.string().optional(),
    verbose: ignored,
    system: ignored,
  })
  .openapi("OllamaShowRequest");

/** The SDK's options, with Ollama's defaults where neither the request nor the model's maker says anything. */
export function ollamaSampling(fields: CommonFields, recommended: RecommendedSampling): GenerateOptions {
  const given = fields.options ?? {};
  const { num_predict: limit = -1, seed, stop, top_p: topP = recommended.topP ?? 0.9 } = given;
  return {
    topP: topP === 0 ? Number.MIN_VALUE : topP,
    minP: given.min_p ?? recommended.minP ?? 0,
    repeatPenalty: given.repeat_penalty ?? recommended.repeatPenalty ?? 1.1,
    ...defined({
      temperature: given.temperature,
      topK: given.top_k,
      repeatLastN: given.repeat_last_n,
      frequencyPenalty: given.frequency_penalty,
      presencePenalty: given.presence_penalty,
      seed: seed === undefined || seed < 0 ? undefined : seed,
      maxTokens: limit < 0 ? undefined : limit,
      stop: typeof stop === "string" ? [stop] : stop,
      logProbabilities: fields.logprobs ? (fields.top_logprobs ?? 0) : undefined,
    }),
  };
}
