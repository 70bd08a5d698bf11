/**
 * From a conversation, with tools or without, to a prompt.
 *
 * Tools go to the chat template if it shows them, which is found out by rendering with and without; otherwise they are
 * described in words (plain-tools.ts). Nothing is left out of a conversation that is too long.
 *
 * Flow: messages of the server, sdk/ or ai-sdk/ → renderConversation → PromptText → Model.generate.
 */
import type { ChatEncodeOptions, ChatFormat } from "../chat-format/chat-format.ts";
import type { ChatMessage } from "../chat-format/messages.ts";
import type { PromptText } from "../generate.ts";
import type { Model } from "../model.ts";
import { plainMessages } from "./plain-tools.ts";
import type { ToolDefinition } from "./tool-definition.ts";

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
