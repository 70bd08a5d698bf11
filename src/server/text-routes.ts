/**
 * /tokenize, /detokenize and /apply-template: texts and ids under llama.cpp's and vLLM's names.
 *
 * Flow: JSON → tokenizer or chat format → JSON.
 */
import { z } from "@hono/zod-openapi";
import { renderConversation } from "../generate/tools/render-conversation.ts";
import type { ServerContext } from "./context.ts";
import { conversationOf } from "./conversation.ts";
import { RequestError } from "./http/errors.ts";
import { type ChatRequest, chatRequest } from "./openai/requests.ts";

export interface TokenizeRequest {
  readonly model?: string | undefined;
  readonly content?: string | undefined;
  readonly prompt?: string | undefined;
  readonly add_special?: boolean | undefined;
  readonly parse_special?: boolean | undefined;
  readonly with_pieces?: boolean | undefined;
}

export interface DetokenizeRequest {
  readonly model?: string | undefined;
  readonly tokens: readonly number[];
}

const model = z.string().optional();

export const tokenizeRequest: z.ZodType<TokenizeRequest> = z
  .strictObject({
    model,
    content: z.string().optional().openapi({ description: "The text" }),
    prompt: z.string().optional().openapi({ description: "The text, under vLLM's name" }),
    add_special: z
      .boolean()
      .optional()
      .openapi({ description: "Add the beginning-of-text id; default false" }),
    parse_special: z
      .boolean()
      .optional()
      .openapi({ description: "Read <s> and its like as control tokens; default false" }),
    with_pieces: z.boolean().optional().openapi({ description: "Give the pieces with the ids" }),
  })
  .openapi("TokenizeRequest");

export const detokenizeRequest: z.ZodType<DetokenizeRequest> = z
  .strictObject({ model, tokens: z.array(z.number().int().min(0)) })
  .openapi("DetokenizeRequest");

/** A chat request of which only the prompt is wanted. */
export const applyTemplateRequest: z.ZodType<ChatRequest> = chatRequest;

export function tokenize(context: ServerContext, body: TokenizeRequest): object {
  const { tokenizer, contextLength } = context.modelFor(body.model);
  const text = body.content ?? body.prompt;
  if (text === undefined || (body.content !== undefined && body.prompt !== undefined))
    throw new RequestError(400, "content: expected the text", { param: "content" });
  const ids = tokenizer.encode(text, {
    addSpecial: body.add_special ?? false,
    parseSpecial: body.parse_special ?? false,
  });
  return {
    tokens: body.with_pieces ? ids.map((id) => ({ id, piece: tokenizer.pieceOf(id) })) : ids,
    count: ids.length,
    max_model_len: contextLength,
  };
}

export function detokenize(context: ServerContext, body: DetokenizeRequest): object {
  const { tokenizer } = context.modelFor(body.model);
  for (const id of body.tokens)
    if (id >= tokenizer.vocabularySize)
      throw new RequestError(400, `tokens: ${id} is outside the vocabulary of ${tokenizer.vocabularySize}`, {
        param: "tokens",
      });
  const text = tokenizer.decode(body.tokens, { showSpecial: true });
  return { content: text, prompt: text };
}

/** The prompt that a conversation becomes, as text and as ids. */
export function applyTemplate(context: ServerContext, body: ChatRequest): object {
  const served = context.modelFor(body.model);
  const { ids } = renderConversation(served, conversationOf(body));
  return { prompt: served.tokenizer.decode(ids, { showSpecial: true }), tokens: ids };
}
