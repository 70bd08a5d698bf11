/**
 * An example as tokens, and which of them are learned: all of a text, the answers of a conversation.
 *
 * A conversation is encoded by the model's own chat format; where an answer lies is found by encoding the conversation up
 * to it, once with the beginning of an answer and once with the whole.
 *
 * Flow: example.ts → encodeExample → token-cache.ts.
 */
import type { ChatFormat } from "../../generate/chat-format/chat-format.ts";
import type { ChatMessage } from "../../generate/chat-format/messages.ts";
import { CriaError } from "../../shared/errors.ts";
import { sharedLength } from "../../shared/shared-length.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { Example, ExampleTools } from "./example.ts";

export interface EncodedText {
  readonly ids: readonly number[];
  /** For each id whether it is to be predicted. */
  readonly learned: readonly boolean[];
  /** Characters of what is learned. */
  readonly characters: number;
}

export interface Encoder {
  readonly tokenizer: Tokenizer;
  /** Made when the first conversation comes. */
  readonly chatFormat: () => ChatFormat;
}

/** Tokens that may differ where two texts meet: a space before an answer can become part of its first word. */
const BLURRED = 2;

/** One text, or for a preference two: the chosen and the rejected answer. */
export function encodeExample(example: Example, encoder: Encoder, where: string): EncodedText[] {
  if (example.kind === "text") return [encodeText(example.text, encoder.tokenizer)];
  const { tools } = example;
  if (example.kind === "chat") return [encodeChat({ messages: example.messages, tools }, 0, encoder, where)];
  const { prompt, chosen, rejected } = example;
  return [chosen, rejected].map((answer) =>
    encodeChat({ messages: [...prompt, ...answer], tools }, prompt.length, encoder, where),
  );
}

function encodeText(text: string, tokenizer: Tokenizer): EncodedText {
  const ids = tokenizer.encode(text, { addSpecial: true });
  const { bos, eos } = tokenizer.special;
  if (bos !== undefined && ids[0] !== bos) ids.unshift(bos);
  if (eos !== undefined && ids.at(-1) !== eos) ids.push(eos);
  return { ids, learned: ids.map((_, index) => index > 0), characters: text.length };
}

interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: ExampleTools | undefined;
}

/** Learns the assistant's messages from number `first` on. */
function encodeChat(
  { messages, tools }: Conversation,
  first: number,
  encoder: Encoder,
  where: string,
): EncodedText {
  const { tokenizer } = encoder;
  const format = encoder.chatFormat();
  const encoded = (list: readonly ChatMessage[], addGenerationPrompt: boolean): number[] =>
    format.encode(list, { addGenerationPrompt, ...(tools ? { tools } : {}) });
  const ids = encoded(messages, false);
  const learned = new Array<boolean>(ids.length).fill(false);
  let characters = 0;
  let isOpen = false;
  messages.forEach(({ role, content }, index) => {
    if (role !== "assistant" || index < first) return;
    const before = encoded(messages.slice(0, index), true);
    const after = encoded(messages.slice(0, index + 1), false);
    const start = sharedLength(before, after);
    const end = sharedLength(after, ids);
    if (start < before.length - BLURRED || end < after.length - BLURRED)
      throw new CriaError(
        "unsupported",
        `${where}: the chat format renders earlier messages differently when more follow, so answers cannot be told apart`,
      );
    // What follows the end mark, such as a line's end, is the format's and not the answer's.
    const mark = ids.findIndex((id, at) => at >= start && at < end && format.stopIds.has(id));
    const said = ids.slice(start, mark < 0 ? end : mark);
    // An empty answer, or a call that the format does not show: nobody should learn to say nothing.
    if (content.trim() === "" && tokenizer.decode(said).trim() === "") return;
    learned.fill(true, start, mark < 0 ? end : mark + 1);
    isOpen = mark < 0 && index === messages.length - 1;
    characters += content.length;
  });
  const { eos } = tokenizer.special;
  // An answer that never ends would teach the model not to.
  if (isOpen && eos !== undefined) {
    ids.push(eos);
    learned.push(true);
  }
  return { ids, learned, characters };
}
