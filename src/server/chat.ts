/**
 * One chat answer as pieces that every API's chat can be written from: content, tool calls, log-probabilities.
 *
 * Flow: chat-completions.ts, ollama/chat.ts → chatPieces → answer.ts → ToolParser → ChatPiece.
 */
import type { Constraint } from "../generate/constraint.ts";
import type { GeneratedToken, GenerateOptions, GenerationResult, PromptText } from "../generate/generate.ts";
import type { Model } from "../generate/model.ts";
import {
  type ParsedPiece,
  parsedText,
  type ToolCallPiece,
  ToolParser,
} from "../generate/tools/tool-parser.ts";
import { answer } from "./answer.ts";
import type { ServerContext } from "./context.ts";

export interface ChatJob {
  readonly model: Model;
  readonly prompt: PromptText;
  readonly options: GenerateOptions & { readonly signal: AbortSignal };
  /** Tools that the answer may call, by name; none: the answer is text as it is. */
  readonly toolNames: readonly string[];
  readonly constraint?: Constraint;
  /** Calls after the first are left out. Default false. */
  readonly oneCall?: boolean;
}

export interface ChatPiece {
  readonly content: string;
  readonly calls: readonly ToolCallPiece[];
  /** The tokens of this piece, where log-probabilities were asked for. */
  readonly tokens: readonly GeneratedToken[];
}

export interface ChatEnd {
  readonly finishReason: "stop" | "length" | "tool_calls";
  readonly result: GenerationResult;
}

const nothing = { content: "", calls: [] } as const;

/** Pieces, none of them empty, then how it ended. */
export async function* chatPieces(
  context: ServerContext,
  { model, prompt, options, toolNames, constraint, oneCall = false }: ChatJob,
): AsyncGenerator<ChatPiece, ChatEnd> {
  const parser = toolNames.length > 0 ? new ToolParser(toolNames) : undefined;
  const tokens = answer(context, model, prompt, { ...options, ...(constraint ? { constraint } : {}) });
  const wanted = ({ content, calls }: ParsedPiece): ParsedPiece => ({
    content,
    calls: oneCall ? calls.filter(({ index }) => index === 0) : calls,
  });
  const wantsTokens = options.logProbabilities !== undefined;
  let result: GenerationResult;
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      if (done) {
        result = value;
        break;
      }
      const { content, calls } = wanted(
        parser ? parser.push(parsedText(model.tokenizer, value)) : { content: value.text, calls: [] },
      );
      const reported = wantsTokens && value.logProbability !== undefined ? [value] : [];
      if (content !== "" || calls.length > 0 || reported.length > 0)
        yield { content, calls, tokens: reported };
    }
    ended = true;
  } finally {
    if (!ended) await tokens.return(undefined as never);
  }
  const { content, calls } = wanted(parser?.finish() ?? nothing);
  if (content !== "" || calls.length > 0) yield { content, calls, tokens: [] };
  const called = parser !== undefined && parser.callCount > 0 && result.finishReason === "stop";
  return { finishReason: called ? "tool_calls" : result.finishReason, result };
}
