/**
 * A conversation that is written as one text, as in Anthropic's preference data:
 *
 *   "\n\nHuman: …\n\nAssistant: …"
 *
 * Flow: example.ts (chosen, rejected) → dialogOf → messages.
 */
import type { ChatMessage } from "../../generate/chat-format/messages.ts";

/** The messages of such a text; undefined for any other text. */
export function dialogOf(text: string): ChatMessage[] | undefined {
  if (!/^\s*Human:/.test(text) || !text.includes("\n\nAssistant:")) return undefined;
  const parts = `\n\n${text.trimStart()}`.split(/\n\n(Human|Assistant):/);
  const messages: ChatMessage[] = [];
  for (let i = 1; i < parts.length; i += 2) {
    const role = parts[i] === "Human" ? "user" : "assistant";
    const content = parts[i + 1].trim();
    const last = messages.at(-1);
    // A speaker who goes on after a pause has one message, since formats take turns.
    if (last?.role === role)
      messages[messages.length - 1] = { role, content: `${last.content}\n\n${content}` };
    else messages.push({ role, content });
  }
  return messages;
}
