/**
 * What OpenAI's clients send for text, checked: /v1/chat/completions, /v1/completions and /v1/embeddings.
 *
 * Flow: JSON → schemas here → chat-completions.ts, completions.ts, embeddings.ts.
 */
import { z } from "@hono/zod-openapi";
import type { ToolDefinition } from "../../generate/tools/tool-definition.ts";
import { type GenerationFields, generationFields, idleFields } from "./fields.ts";

export type ToolChoice =
  | "none"
  | "auto"
  | "required"
  | { readonly type: "function"; readonly function: { readonly name: string } };

/** The content of a message: text, or parts of which all must be text. */
type Content = string | null | readonly { readonly text?: string | undefined }[] | undefined;

export interface RequestMessage {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  readonly content?: Content;
  readonly name?: string | undefined;
  readonly refusal?: string | null | undefined;
  readonly tool_call_id?: string | undefined;
  readonly tool_calls?:
    | readonly {
        readonly id?: string | undefined;
        readonly function: { readonly name: string; readonly arguments: string };
      }[]
    | null
    | undefined;
}

export interface ChatRequest extends GenerationFields {
  readonly messages: readonly RequestMessage[];
  readonly max_completion_tokens?: number | undefined;
  readonly logprobs?: boolean | undefined;
  readonly top_logprobs?: number | undefined;
  readonly tools?: readonly ToolDefinition[] | undefined;
  readonly tool_choice?: ToolChoice | undefined;
  readonly parallel_tool_calls?: boolean | undefined;
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>> | undefined;
  readonly reasoning_effort?: string | undefined;
  readonly add_generation_prompt?: boolean | undefined;
  readonly continue_final_message?: boolean | undefined;
}

export interface CompletionRequest extends GenerationFields {
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly echo?: boolean | undefined;
  readonly logprobs?: number | undefined;
  readonly best_of?: number | undefined;
}

export interface EmbeddingRequest {
  readonly model?: string | undefined;
  readonly input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly encoding_format?: "float" | "base64" | undefined;
  readonly dimensions?: number | undefined;
}

/** Texts or token lists of one request. */
const MOST_INPUTS = 2048;

const id = z.number().int().min(0);
const texts = z.union(
  [
    z.string(),
    z.array(z.string()).min(1).max(MOST_INPUTS),
    z.array(id).min(1),
    z.array(z.array(id).min(1)).min(1).max(MOST_INPUTS),
  ],
  `expected a text, a list of token ids, or a list of 1 to ${MOST_INPUTS} of these`,
);

const textPart = z.strictObject({
  type: z.literal("text", "expected text; this server takes no images, sounds or files"),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart)], "expected a text, or a list of parts of text");
const name = z.string().optional();

const message = z.discriminatedUnion(
  "role",
  [
    z.strictObject({ role: z.enum(["system", "developer", "user"]), content, name }),
    z.strictObject({
      role: z.literal("assistant"),
      content: content.nullish(),
      name,
      refusal: z.string().nullish(),
      // What a client kept of our own answers; a template is not shown it.
      reasoning_content: z.unknown().optional(),
      audio: z.null().optional(),
      function_call: z.null().optional(),
      annotations: z.unknown().optional(),
      tool_calls: z
        .array(
          z.strictObject({
            id: z.string().optional(),
            index: z.number().optional(),
            type: z.literal("function").optional(),
            function: z.strictObject({ name: z.string().min(1), arguments: z.string() }),
          }),
        )
        .nullish(),
    }),
    z.strictObject({ role: z.literal("tool"), content, name, tool_call_id: z.string().optional() }),
  ],
  "expected system, developer, user, assistant or tool",
);

/** Names that every grammar and every template can hold. */
const toolName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, "expected 1 to 64 letters, digits, dots, dashes or underscores");

export const toolDefinition: z.ZodType<ToolDefinition> = z
  .strictObject({
    type: z.literal("function"),
    function: z.strictObject({
      name: toolName,
      description: z.string().optional(),
      parameters: z.union([z.record(z.string(), z.unknown()), z.boolean()]).optional(),
      strict: z.boolean().nullish(),
    }),
  })
  .openapi("Tool");

export const chatRequest: z.ZodType<ChatRequest> = z
  .strictObject({
    ...idleFields,
    ...generationFields,
    messages: z.array(message).min(1),
    max_completion_tokens: z.number().int().min(-1).optional(),
    logprobs: z.boolean().optional(),
    top_logprobs: z.number().int().min(0).max(20).optional(),
    tools: z.array(toolDefinition).max(128).optional(),
    tool_choice: z
      .union(
        [
          z.enum(["none", "auto", "required"]),
          z.strictObject({ type: z.literal("function"), function: z.strictObject({ name: z.string() }) }),
        ],
        'expected "none", "auto", "required", or a function by name',
      )
      .optional(),
    parallel_tool_calls: z.boolean().optional(),
    chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
    reasoning_effort: z.string().optional(),
    add_generation_prompt: z.boolean().optional(),
    continue_final_message: z.boolean().optional(),
    modalities: z.tuple([z.literal("text")], "this server makes text only").optional(),
  })
  .openapi("ChatCompletionRequest");

export const completionRequest: z.ZodType<CompletionRequest> = z
  .strictObject({
    ...idleFields,
    ...generationFields,
    prompt: texts,
    echo: z.boolean().optional(),
    logprobs: z.number().int().min(0).max(20).optional(),
    best_of: z.number().int().min(1).optional(),
    suffix: z.literal("", "this server does not fill in text before a suffix; leave it out").optional(),
  })
  .openapi("CompletionRequest");

export const embeddingRequest: z.ZodType<EmbeddingRequest> = z
  .strictObject({
    model: z.string().optional(),
    input: texts,
    encoding_format: z.enum(["float", "base64"]).optional(),
    dimensions: z.number().int().min(1).optional(),
    user: z.unknown().optional(),
  })
  .openapi("EmbeddingRequest");
