/**
 * The messages of a conversation, as callers write them.
 *
 * Flow: SDK, command line, server (messages) → checkMessages → a chat format → ids.
 */
import { CriaError } from "../../shared/errors.ts";

/** A function that the assistant asked for. */
export interface ToolCall {
  readonly id?: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface ChatMessage {
  /** Who speaks: "tool" gives the result of a function that the assistant called. */
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  /** Name of the speaker or tool, for templates that show it. */
  readonly name?: string;
  /** Functions that an assistant's message calls. */
  readonly toolCalls?: readonly ToolCall[];
  /** The call that a tool's message answers. */
  readonly toolCallId?: string;
}

const roles: ReadonlySet<string> = new Set(["system", "user", "assistant", "tool"]);

/** @throws {CriaError} "bad-input" for a conversation without messages, or a message of the wrong shape. */
export function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw new CriaError("bad-input", "messages: expected at least one message");
  for (const [index, message] of messages.entries()) {
    if (!roles.has(message?.role))
      throw new CriaError(
        "bad-input",
        `messages[${index}].role: expected system, user, assistant or tool, got ${String(message?.role)}`,
      );
    if (typeof message.content !== "string")
      throw new CriaError(
        "bad-input",
        `messages[${index}].content: expected a string, got ${message.content === null ? "null" : typeof message.content}`,
      );
  }
}
