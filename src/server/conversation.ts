/**
 * The conversation of a chat request: OpenAI's messages and tools as Cria's.
 *
 * Flow: ChatRequest → conversationOf → renderConversation → PromptText → answer.ts.
 */
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { Conversation } from "../generate/tools/render-conversation.ts";
import { RequestError } from "./http/errors.ts";
import type { ChatRequest, RequestMessage } from "./openai/requests.ts";

/** @throws {RequestError} 400 for a call whose arguments are no JSON object. */
export function conversationOf(request: ChatRequest): Conversation {
  const { reasoning_effort: effort } = request;
  return {
    messages: request.messages.map(messageOf),
    tools: request.tool_choice === "none" ? [] : (request.tools ?? []),
    variables: {
      ...(effort === undefined ? {} : { reasoning_effort: effort }),
      ...request.chat_template_kwargs,
    },
    ...(request.continue_final_message ? { continueFinal: true } : {}),
    ...(request.add_generation_prompt === undefined
      ? {}
      : { addGenerationPrompt: request.add_generation_prompt }),
  };
}

function messageOf(message: RequestMessage, index: number): ChatMessage {
  const { role, content, name, tool_call_id: toolCallId, tool_calls: calls } = message;
  return {
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("\n"),
    ...(name === undefined ? {} : { name }),
    ...(toolCallId === undefined ? {} : { toolCallId }),
    ...(calls && calls.length > 0
      ? {
          toolCalls: calls.map((call, at) => ({
            ...(call.id === undefined ? {} : { id: call.id }),
            name: call.function.name,
            arguments: argumentsOf(
              call.function.arguments,
              `messages[${index}].tool_calls[${at}].function.arguments`,
            ),
          })),
        }
      : {}),
  };
}

function argumentsOf(text: string, param: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {}
  throw new RequestError(400, `${param}: expected a JSON object as text`, { param, code: "invalid_value" });
}
