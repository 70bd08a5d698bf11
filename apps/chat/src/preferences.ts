/**
 * Thumbs as preferences that `cria train dpo` takes: one JSON object a line.
 *
 *   a better answer that was written     {prompt, chosen: better, rejected: answer}
 *   one sibling liked, another disliked  {prompt, chosen: liked, rejected: disliked}
 */
import { type Chat, type ChatNode, siblingsOf } from "./tree.ts";

interface Message {
  readonly role: string;
  readonly content: string;
}

interface Preference {
  readonly prompt: readonly Message[];
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
}

export function preferencesOf(chats: readonly Chat[]): Preference[] {
  return chats.flatMap((chat) =>
    chat.nodes.flatMap((node) => {
      if (node.role !== "assistant" || !node.feedback) return [];
      const prompt = promptOf(chat, node);
      const pair = (chosen: string, rejected: string): Preference => ({
        prompt,
        chosen: [{ role: "assistant", content: chosen }],
        rejected: [{ role: "assistant", content: rejected }],
      });
      const better = node.feedback.better.trim();
      if (better !== "") return [pair(better, node.content)];
      if (!node.feedback.liked) return [];
      return siblingsOf(chat, node)
        .filter(({ feedback }) => feedback && !feedback.liked)
        .map((disliked) => pair(node.content, disliked.content));
    }),
  );
}

export function toJsonLines(preferences: readonly Preference[]): string {
  return preferences.map((preference) => `${JSON.stringify(preference)}\n`).join("");
}

function promptOf(chat: Chat, node: ChatNode): Message[] {
  const byId = new Map(chat.nodes.map((one) => [one.id, one]));
  const messages: Message[] = [];
  for (let one = byId.get(node.parent ?? ""); one; one = byId.get(one.parent ?? ""))
    messages.unshift({ role: one.role, content: one.content });
  return chat.system === "" ? messages : [{ role: "system", content: chat.system }, ...messages];
}
