/**
 * Tools for chat templates that do not know them: described in the system message, with calls and results as text.
 *
 *   <tool_call>{"name": …, "arguments": {…}}</tool_call>      what the model writes
 *   <tool_response>…</tool_response>                          what it is told, in a user's message
 *
 * Flow: render-conversation.ts → plainMessages → chat format.
 * Source: the Hermes function-calling format, which many open models were tuned with.
 */
import type { ChatMessage, ToolCall } from "../chat-format/messages.ts";
import type { ToolDefinition } from "./tool-definition.ts";

/** The conversation with nothing in it but texts of system, user and assistant. */
export function plainMessages(
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[],
): ChatMessage[] {
  const plain: ChatMessage[] = [];
  let inResults = false;
  for (const message of messages) {
    if (message.role === "tool") {
      const result = `<tool_response>\n${message.content}\n</tool_response>`;
      const last = plain[plain.length - 1];
      // Results of one turn share a message: many formats want user and assistant in turns.
      if (inResults) plain[plain.length - 1] = { role: "user", content: `${last.content}\n${result}` };
      else plain.push({ role: "user", content: result });
      inResults = true;
      continue;
    }
    inResults = false;
    if (message.toolCalls && message.toolCalls.length > 0)
      plain.push({ role: "assistant", content: joined(message.content, message.toolCalls.map(callText)) });
    else plain.push({ role: message.role, content: message.content, ...nameOf(message) });
  }
  if (tools.length === 0) return plain;
  const [first] = plain;
  return first?.role === "system"
    ? [{ ...first, content: joined(first.content, [describeTools(tools)], "\n\n") }, ...plain.slice(1)]
    : [{ role: "system", content: describeTools(tools) }, ...plain];
}

function nameOf({ name }: ChatMessage): { name?: string } {
  return name === undefined ? {} : { name };
}

function joined(text: string, more: readonly string[], separator = "\n"): string {
  return [...(text === "" ? [] : [text]), ...more].join(separator);
}

function callText({ name, arguments: args }: ToolCall): string {
  return `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`;
}

function describeTools(tools: readonly ToolDefinition[]): string {
  const lines = tools.map((tool) => JSON.stringify(tool.function)).join("\n");
  return (
    "You can call functions. They are described here by name, purpose and the JSON schema of their parameters:\n" +
    `<tools>\n${lines}\n</tools>\n` +
    "To call one, answer with its name and arguments as JSON inside these tags, and nothing else:\n" +
    '<tool_call>\n{"name": "function name", "arguments": {"parameter": "value"}}\n</tool_call>\n' +
    "The results come back in <tool_response> tags. If no function helps, answer in words."
  );
}
