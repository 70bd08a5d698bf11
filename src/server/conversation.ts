/**
 * From the messages of a request to a prompt.
 *
 * Tools go to the chat template if it shows them, which is found out by rendering with and without; otherwise they are
 * described in words. Nothing is left out of a conversation that is too long: the client is told instead.
 *
 * Flow: OpenAI's or Ollama's messages → renderConversation → PromptText → answer.ts.
 */
import type { ChatEncodeOptions, ChatFormat } from "../generate/chat-format/chat-format.ts";
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { PromptText } from "../generate/generate.ts";
import type { Model } from "../generate/model.ts";
import { RequestError } from "./http/errors.ts";
import type { ChatRequest, RequestMessage, ToolDefinition } from "./openai/requests.ts";
import { plainMessages } from "./tools/plain-tools.ts";

export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The last message is the start of the answer. */
  readonly continueFinal?: boolean;
  readonly addGenerationPrompt?: boolean;
}

/** @throws {CriaError} when the model has no chat template, or it refuses the messages. */
export function renderConversation(model: Model, conversation: Conversation): PromptText {
  const format = model.chatFormat;
  const ids = encode(format, conversation);
  return {
    ids,
    continues: conversation.continueFinal ?? false,
    trimStart: format.trimAnswerStart,
    endIds: format.stopIds,
    stopStrings: format.stopStrings,
  };
}

function encode(format: ChatFormat, { messages, tools, ...rest }: Conversation): number[] {
  const options: ChatEncodeOptions = {
    ...(rest.variables ? { variables: rest.variables } : {}),
    ...(rest.continueFinal ? { continueFinal: true } : {}),
    ...(rest.addGenerationPrompt === undefined ? {} : { addGenerationPrompt: rest.addGenerationPrompt }),
  };
  const usesTools = tools.length > 0 || messages.some(({ role, toolCalls }) => role === "tool" || toolCalls);
  if (!usesTools) return format.encode(messages, options);
  if (showsTools(format)) return format.encode(messages, { ...options, tools: [...tools] as never });
  return format.encode(plainMessages(messages, tools), options);
}

const probed = new WeakMap<ChatFormat, boolean>();

/** Whether the template makes another prompt of a question with tools than of one without. */
function showsTools(format: ChatFormat): boolean {
  let shows = probed.get(format);
  if (shows === undefined) {
    const question: ChatMessage[] = [{ role: "user", content: "question" }];
    const parameters = { type: "object", properties: {} };
    const tools = [{ type: "function", function: { name: "probe", description: "a probe", parameters } }];
    try {
      shows = format.encode(question).join() !== format.encode(question, { tools }).join();
    } catch {
      shows = false;
    }
    probed.set(format, shows);
  }
  return shows;
}

/** The conversation of a chat request. */
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
