/**
 * Chat formats given as a Jinja template, which is how models on the Hugging Face hub bring theirs.
 *
 * Users' texts are hidden from the template as far as they look like control tokens (special-texts.ts), at two levels:
 * first whole names, so that a template still sees the rest of a text as it is, for example when it cuts an answer at
 * "</think>"; then every character that could begin a name, so that no name can come together from parts. If both give
 * the same control tokens, the first one is used, otherwise the second.
 *
 * The vocabulary decides about the beginning-of-text id: it is there once if the tokenizer adds it, whether or not the
 * template writes it too. How an answer ends, and whether it starts with white space, is found by rendering a short
 * conversation.
 *
 * Flow: messages → Disguise → ChatTemplate → parts → ids → generate.ts.
 */
import { CriaError } from "../../shared/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { ChatEncodeOptions, ChatFormat } from "./chat-format.ts";
import { type ChatMessage, checkMessages } from "./messages.ts";
import { Disguise, type HidingLevel, type PromptPart, SpecialTexts } from "./special-texts.ts";
import { ChatTemplate } from "./template.ts";

export class JinjaFormat implements ChatFormat {
  readonly stopIds: ReadonlySet<number>;
  readonly stopStrings: readonly string[];
  readonly trimAnswerStart: boolean;
  readonly #template: ChatTemplate;
  readonly #tokenizer: Tokenizer;
  readonly #specials: SpecialTexts;
  #calls: CallForm | undefined;

  /** @throws {CriaError} "bad-template" for a template that is too long or cannot be parsed. */
  constructor(template: string, tokenizer: Tokenizer) {
    this.#template = new ChatTemplate(template);
    this.#tokenizer = tokenizer;
    this.#specials = new SpecialTexts(tokenizer);
    const answer = this.#probe();
    const [end] = this.#specials.split(answer.after.trimStart());
    const endText = end && "text" in end ? end.text.trim().split("\n", 1)[0] : "";
    this.stopIds = new Set([...tokenizer.endIds, ...(end && "id" in end ? [end.id] : [])]);
    this.stopStrings = endText === "" ? [] : [endText];
    this.trimAnswerStart = /^\s+$/.test(answer.before);
  }

  encode(messages: readonly ChatMessage[], options: ChatEncodeOptions = {}): number[] {
    checkMessages(messages);
    checkFinal(messages, options);
    const disguise = new Disguise(this.#specials, [
      this.#template.source,
      ...textsIn([messages, options.tools, options.documents, options.variables]),
    ]);
    const ids = this.#idsOf(this.#parts(messages, options, disguise), disguise);
    const { bos } = this.#tokenizer.special;
    if (this.#tokenizer.addBos && bos !== undefined && ids[0] !== bos) ids.unshift(bos);
    return ids;
  }

  #parts(messages: readonly ChatMessage[], options: ChatEncodeOptions, disguise: Disguise): PromptPart[] {
    const render = (level: HidingLevel) =>
      this.#specials.split(this.#render(messages, options, (text) => disguise.hide(text, level)));
    const parts = render("names");
    if (!disguise.isNeeded) return parts;
    const strict = render("characters");
    return controlsOf(parts) === controlsOf(strict) ? parts : strict;
  }

  #idsOf(parts: readonly PromptPart[], disguise: Disguise): number[] {
    const ids: number[] = [];
    for (const [index, part] of parts.entries()) {
      if ("id" in part) {
        ids.push(part.id);
        continue;
      }
      const { text, breaks } = disguise.reveal(part.text);
      for (const id of this.#specials.encodeText(text, breaks, index > 0)) ids.push(id);
    }
    return ids;
  }

  #render(
    messages: readonly ChatMessage[],
    options: ChatEncodeOptions,
    hide: (text: string) => string = (text) => text,
  ): string {
    const { continueFinal = false } = options;
    const { special } = this.#tokenizer;
    const text = this.#template.render({
      ...(mapTexts(options.variables ?? {}, hide) as object),
      messages: messages.map((message) => templateMessage(message, hide, this.#callForm(messages))),
      add_generation_prompt: continueFinal ? false : (options.addGenerationPrompt ?? true),
      bos_token: special.bos === undefined ? "" : this.#tokenizer.pieceOf(special.bos),
      eos_token: special.eos === undefined ? "" : this.#tokenizer.pieceOf(special.eos),
      tools: mapTexts(options.tools ?? null, hide),
      documents: mapTexts(options.documents ?? null, hide),
    });
    return continueFinal ? cutAfterFinal(text, hide(messages[messages.length - 1].content)) : text;
  }

  /** The form of calls that the template shows whole; OpenAI's, which most know, where none is or there are no calls. */
  #callForm(messages: readonly ChatMessage[]): CallForm {
    if (!messages.some(({ toolCalls }) => toolCalls)) return CALL_FORMS[0];
    this.#calls ??= CALL_FORMS.find((form) => this.#showsCalls(form)) ?? CALL_FORMS[0];
    return this.#calls;
  }

  #showsCalls(form: CallForm): boolean {
    const call = { id: "callid123", name: "aFunction", arguments: { aKey: "aValue" } };
    const messages: ChatMessage[] = [
      { role: "user", content: "aQuestion" },
      { role: "assistant", content: "", toolCalls: [call] },
    ];
    const { special } = this.#tokenizer;
    try {
      const text = this.#template.render({
        messages: messages.map((message) => templateMessage(message, (part) => part, form)),
        add_generation_prompt: false,
        bos_token: special.bos === undefined ? "" : this.#tokenizer.pieceOf(special.bos),
        eos_token: special.eos === undefined ? "" : this.#tokenizer.pieceOf(special.eos),
        tools: null,
        documents: null,
      });
      return ["aFunction", "aKey", "aValue"].every((part) => text.includes(part));
    } catch {
      return false;
    }
  }

  /** The text before an answer's own text that is not part of the prompt, and the text after it. */
  #probe(): { before: string; after: string } {
    const question: ChatMessage = { role: "user", content: "aQuestion" };
    const answer: ChatMessage = { role: "assistant", content: "anAnswer" };
    try {
      const whole = this.#render([question, answer], { addGenerationPrompt: false });
      const start = whole.lastIndexOf(answer.content);
      if (start < 0) return { before: "", after: "" };
      const prompt = this.#render([question], {});
      const before = whole.startsWith(prompt) ? whole.slice(prompt.length, start) : "";
      return { before, after: whole.slice(start + answer.content.length) };
    } catch {
      // A template that cannot hold these two messages says so when it gets the real ones.
      return { before: "", after: "" };
    }
  }
}

function checkFinal(messages: readonly ChatMessage[], options: ChatEncodeOptions): void {
  const last = messages[messages.length - 1];
  if (options.continueFinal && last.role !== "assistant")
    throw new CriaError(
      "bad-input",
      `continueFinal needs a last message from assistant, but it is from ${last.role}`,
    );
}

/** Ends the text where the last message's own text ends, so that the model goes on with it. */
function cutAfterFinal(text: string, content: string): string {
  const final = content.trim();
  const start = text.lastIndexOf(final);
  if (start < 0)
    throw new CriaError(
      "bad-input",
      "continueFinal: the chat template does not show the last message as it is",
    );
  // A template that keeps the white space at the end of the message keeps it here too.
  const rest = content.slice(content.trimEnd().length);
  const end = start + final.length;
  return text.slice(0, text.startsWith(rest, end) ? end + rest.length : end);
}

/** What differs between templates that show calls, as in llama.cpp. */
interface CallForm {
  /** Arguments are JSON in a text rather than an object. */
  readonly asText: boolean;
  /** A message that only calls has no content rather than an empty one. */
  readonly withoutContent: boolean;
}

const CALL_FORMS: readonly CallForm[] = [false, true].flatMap((withoutContent) =>
  [false, true].map((asText) => ({ asText, withoutContent })),
);

/** A message under the names that templates know. */
function templateMessage(
  message: ChatMessage,
  hide: (text: string) => string,
  form: CallForm,
): Record<string, unknown> {
  const { role, content, name, toolCalls, toolCallId } = message;
  return {
    role,
    content: form.withoutContent && toolCalls !== undefined && content === "" ? null : hide(content),
    ...(name === undefined ? {} : { name: hide(name) }),
    ...(toolCallId === undefined ? {} : { tool_call_id: hide(toolCallId) }),
    ...(toolCalls === undefined
      ? {}
      : {
          tool_calls: toolCalls.map((call) => ({
            ...(call.id === undefined ? {} : { id: hide(call.id) }),
            type: "function",
            function: {
              name: hide(call.name),
              arguments: form.asText ? hide(JSON.stringify(call.arguments)) : mapTexts(call.arguments, hide),
            },
          })),
        }),
  };
}

/** The same data with every text in it, keys included, replaced. */
function mapTexts(data: unknown, replace: (text: string) => string): unknown {
  if (typeof data === "string") return replace(data);
  if (Array.isArray(data)) return data.map((item) => mapTexts(item, replace));
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [replace(key), mapTexts(value, replace)]),
  );
}

/** Every text in the data, keys included. */
function textsIn(data: unknown): string[] {
  const texts: string[] = [];
  mapTexts(data, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}

function controlsOf(parts: readonly PromptPart[]): string {
  return parts.flatMap((part) => ("id" in part ? [part.id] : [])).join();
}
