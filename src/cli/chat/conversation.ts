/**
 * The messages of a chat, and what can be done with them.
 *
 * There is at most one system message, at the front; users and assistants take turns after it.
 */
import type { ChatMessage } from "../../generate/chat-format/messages.ts";
import { CriaError } from "../../shared/errors.ts";

export class Conversation {
  #messages: ChatMessage[] = [];

  constructor(system?: string) {
    if (system !== undefined) this.system = system;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Text of the system message; "" removes it. */
  get system(): string {
    const [first] = this.#messages;
    return first?.role === "system" ? first.content : "";
  }

  set system(text: string) {
    const turns = this.#messages.filter(({ role }) => role !== "system");
    this.#messages = text === "" ? turns : [{ role: "system", content: text }, ...turns];
  }

  add(role: "user" | "assistant", content: string): void {
    this.#messages.push({ role, content });
  }

  /** Takes back the last answer; says whether a question is left to answer again. */
  takeAnswer(): boolean {
    if (this.#messages.at(-1)?.role === "assistant") this.#messages.pop();
    return this.#messages.at(-1)?.role === "user";
  }

  /** Takes back the last question and its answer; gives the question. */
  takeExchange(): string | undefined {
    this.takeAnswer();
    return this.#messages.at(-1)?.role === "user" ? this.#messages.pop()?.content : undefined;
  }

  /** Forgets all but the system message. */
  clear(): void {
    this.#messages = this.#messages.filter(({ role }) => role === "system");
  }

  toJson(): string {
    return `${JSON.stringify(this.#messages, null, 2)}\n`;
  }

  /**
   * Replaces the messages by those of a JSON list of {role, content}.
   *
   * @throws {CriaError} "bad-file" when the text is none.
   */
  readJson(text: string, name: string): void {
    this.#messages = parseMessages(text, name);
  }
}

const ROLES = ["system", "user", "assistant", "tool"];

function parseMessages(text: string, name: string): ChatMessage[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    throw new CriaError("bad-file", `${name}: not JSON`, { cause });
  }
  if (!Array.isArray(list)) throw new CriaError("bad-file", `${name}: expected a list of messages`);
  return list.map((entry: unknown, index) => {
    const { role, content } = (entry ?? {}) as { role?: unknown; content?: unknown };
    if (typeof role !== "string" || !ROLES.includes(role) || typeof content !== "string")
      throw new CriaError(
        "bad-file",
        `${name}: message ${index} should have a role (${ROLES.join(", ")}) and a content`,
      );
    return { role, content } as ChatMessage;
  });
}
