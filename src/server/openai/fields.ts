/**
 * The fields that OpenAI's two ways to ask for text share, with llama.cpp's and vLLM's additions, and what they mean for
 * the SDK.
 *
 * A field that would change the text and cannot be honoured is refused by name. Those that only concern accounts,
 * caching or storing are taken and have no effect.
 *
 * Flow: JSON → schema (requests.ts) → samplingOf → GenerateOptions.
 */
import { z } from "@hono/zod-openapi";
import type { GenerateOptions } from "../../generate/generate.ts";
import { defined } from "../../shared/defined.ts";

/** A token's id → what is added to its logit; false bans it. llama.cpp also writes it as pairs. */
type Bias = Readonly<Record<string, number | false>> | readonly (readonly [number, number | false])[];

export interface GenerationFields {
  readonly model?: string | undefined;
  readonly stream?: boolean | undefined;
  readonly stream_options?: { readonly include_usage?: boolean | undefined } | undefined;
  readonly n?: number | undefined;
  readonly max_tokens?: number | undefined;
  readonly stop?: string | readonly string[] | undefined;
  readonly seed?: number | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly top_k?: number | undefined;
  readonly min_p?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly repeat_penalty?: number | undefined;
  readonly repetition_penalty?: number | undefined;
  readonly repeat_last_n?: number | undefined;
  readonly logit_bias?: Bias | undefined;
  readonly ignore_eos?: boolean | undefined;
  readonly response_format?: ResponseFormat | undefined;
  readonly json_schema?: JsonSchema | undefined;
  readonly grammar?: string | undefined;
  readonly guided_json?: JsonSchema | undefined;
  readonly guided_regex?: string | undefined;
  readonly guided_grammar?: string | undefined;
}

export type JsonSchema = Readonly<Record<string, unknown>> | boolean;

export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object"; readonly schema?: JsonSchema | undefined }
  | {
      readonly type: "json_schema";
      readonly json_schema?: { readonly schema?: JsonSchema | undefined } | undefined;
      readonly schema?: JsonSchema | undefined;
    };

/** Choices of one request, over all its prompts. */
export const MOST_CHOICES = 128;
const MOST_STOPS = 64;

const jsonSchema = z.union([z.record(z.string(), z.unknown()), z.boolean()]);
const whole = (minimum: number) => z.number().int().min(minimum);

/** Accepted only with the value at which it does nothing. */
const only = (value: number | string | boolean) =>
  z.literal(value, `this server does not have it; leave it out or send ${JSON.stringify(value)}`).optional();

const ignored = z.unknown().optional();

/**
 * Fields that are taken without effect: those that ask for what this server does not have, only at the value that asks
 * for nothing, and those that have no influence on the text.
 */
export const idleFields: Readonly<Record<string, z.ZodType>> = {
  mirostat: only(0),
  mirostat_tau: ignored,
  mirostat_eta: ignored,
  dry_multiplier: only(0),
  dry_base: ignored,
  dry_allowed_length: ignored,
  dry_penalty_last_n: ignored,
  xtc_probability: only(0),
  xtc_threshold: ignored,
  typical_p: only(1),
  dynatemp_range: only(0),
  dynatemp_exponent: ignored,
  top_n_sigma: only(-1),
  n_keep: ignored,
  user: ignored,
  metadata: ignored,
  store: ignored,
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
  cache_prompt: ignored,
  id_slot: ignored,
  timings_per_token: ignored,
  return_progress: ignored,
};

/** The shape of `GenerationFields`. */
export const generationFields: {
  readonly [Name in keyof GenerationFields]-?: z.ZodType<GenerationFields[Name]>;
} = {
  model: z.string().optional().openapi({ description: "The model's name; default: the one that is served" }),
  stream: z.boolean().optional(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: ignored })
    .optional(),
  n: whole(1).max(MOST_CHOICES).optional(),
  max_tokens: whole(-1).optional().openapi({ description: "-1: until the context is full" }),
  stop: z
    .union(
      [z.string().min(1), z.array(z.string().min(1)).max(MOST_STOPS)],
      `expected a text, or a list of at most ${MOST_STOPS}; none of them empty`,
    )
    .optional()
    .openapi({ description: "Texts that end the answer; they are not part of it" }),
  seed: z
    .number()
    .int()
    .optional()
    .openapi({ description: "Equal seeds repeat a text; choice i of n adds i to it; -1 is random" }),
  temperature: z.number().min(0).optional(),
  top_p: z.number().min(0).max(1).optional(),
  top_k: whole(-1).optional().openapi({ description: "0 or -1: all tokens" }),
  min_p: z.number().min(0).max(1).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  repeat_penalty: z.number().gt(0).optional(),
  repetition_penalty: z.number().gt(0).optional(),
  repeat_last_n: whole(-1).optional(),
  logit_bias: z
    .union([
      z.record(
        z.string().regex(/^\d+$/, "expected token ids as keys"),
        z.union([z.number(), z.literal(false)]),
      ),
      z.array(z.tuple([whole(0), z.union([z.number(), z.literal(false)])])),
    ])
    .optional(),
  ignore_eos: z.boolean().optional(),
  response_format: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("text") }),
      z.strictObject({ type: z.literal("json_object"), schema: jsonSchema.optional() }),
      z.strictObject({
        type: z.literal("json_schema"),
        json_schema: z
          .strictObject({
            name: ignored,
            description: ignored,
            strict: z.boolean().nullable().optional(),
            schema: jsonSchema.optional(),
          })
          .optional(),
        schema: jsonSchema.optional(),
      }),
    ])
    .optional(),
  json_schema: jsonSchema.optional(),
  grammar: z.string().min(1).optional().openapi({ description: "GBNF" }),
  guided_json: jsonSchema.optional(),
  guided_regex: z.string().min(1).optional(),
  guided_grammar: z.string().min(1).optional(),
};

/** The SDK's options for the choice with this index; what was not asked for keeps the SDK's defaults. */
export function samplingOf(fields: GenerationFields, choice: number): GenerateOptions {
  const { max_tokens: limit, stop, seed, top_k: topK, top_p: topP } = fields;
  return defined({
    temperature: fields.temperature,
    topK: topK === -1 ? 0 : topK,
    // OpenAI allows 0, which keeps only the likeliest token.
    topP: topP === 0 ? Number.MIN_VALUE : topP,
    minP: fields.min_p,
    repeatPenalty: fields.repeat_penalty ?? fields.repetition_penalty,
    repeatLastN: fields.repeat_last_n,
    frequencyPenalty: fields.frequency_penalty,
    presencePenalty: fields.presence_penalty,
    logitBias: biasOf(fields.logit_bias),
    seed: seed === undefined || seed < 0 ? undefined : seed + choice,
    maxTokens: limit === -1 ? undefined : limit,
    stop: typeof stop === "string" ? [stop] : stop,
    neverEnd: fields.ignore_eos,
  });
}

function biasOf(bias: Bias | undefined): Map<number, number | false> | undefined {
  if (bias === undefined) return undefined;
  return new Map(
    Array.isArray(bias)
      ? bias
      : Object.entries(bias).map(([id, value]): [number, number | false] => [Number(id), value]),
  );
}
