/**
 * One answer of a model that may call functions, as pieces of text and of calls.
 *
 * Flow: messages, functions → renderConversation → Model → ToolParser → AnswerPiece → tools.ts, ai-sdk/.
 */
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { Constraint } from "../generate/constraint.ts";
import type { GenerateOptions, GenerationResult } from "../generate/generate.ts";
import type { Model } from "../generate/model.ts";
import { renderConversation } from "../generate/tools/render-conversation.ts";
import { parsedText, type ToolCallPiece, ToolParser } from "../generate/tools/tool-parser.ts";

/** A function as the model is told of it. */
export interface FunctionDescription {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of its arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface ToolQuestion {
  readonly messages: readonly ChatMessage[];
  readonly functions: readonly FunctionDescription[];
  readonly options?: Omit<GenerateOptions, "constraint">;
  readonly constraint?: Constraint;
}

export interface AnswerPiece {
  readonly content: string;
  readonly calls: readonly ToolCallPiece[];
}

export interface AnswerEnd {
  readonly called: boolean;
  readonly result: GenerationResult;
}

/** Pieces, none of them empty; leaving the loop early ends the generation. */
export async function* toolAnswer(
  model: Model,
  { messages, functions, options = {}, constraint }: ToolQuestion,
): AsyncGenerator<AnswerPiece, AnswerEnd> {
  const tools = functions.map((one) => ({ type: "function" as const, function: one }));
  const prompt = renderConversation(model, { messages, tools });
  const parser = functions.length > 0 ? new ToolParser(functions.map(({ name }) => name)) : undefined;
  const generation = model.generate(prompt, { ...options, ...(constraint ? { constraint } : {}) });
  for await (const token of generation.tokens()) {
    const piece = parser
      ? parser.push(parsedText(model.tokenizer, token))
      : { content: token.text, calls: [] };
    if (!isEmpty(piece)) yield piece;
  }
  const rest = parser?.finish();
  if (rest && !isEmpty(rest)) yield rest;
  const result = await generation.result();
  return { called: (parser?.callCount ?? 0) > 0 && result.finishReason === "stop", result };
}

function isEmpty({ content, calls }: AnswerPiece): boolean {
  return content === "" && calls.length === 0;
}
