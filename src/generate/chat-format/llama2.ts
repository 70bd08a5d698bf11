/**
 * Llama 2's chat format. Every turn is encoded by itself, with its own beginning- and end-of-text ids:
 *
 *   BOS encode("[INST] " + user + " [/INST] " + answer + " ") EOS      for each completed turn
 *   BOS encode("[INST] " + user + " [/INST]")                          for the last one
 *
 * A system message goes into the first user message: "<<SYS>>\n" + system + "\n<</SYS>>\n\n" + user. Texts are stripped
 * of white space as Python does it. None of the tags is a token of its own, so a message that contains one is refused.
 *
 * Flow: messages → Llama2Format → ids → generate.ts.
 * Source: the dialog rules of Meta's Llama 2 inference code.
 */
import { CriaError } from "../../shared/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { ChatEncodeOptions, ChatFormat } from "./chat-format.ts";
import { type ChatMessage, checkMessages } from "./messages.ts";
import { stripInPython } from "./python-values.ts";

const TAGS = ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"];

export class Llama2Format implements ChatFormat {
  readonly stopIds: ReadonlySet<number>;
  readonly stopStrings: readonly string[] = [];
  /** The tuned models begin an answer with a space. */
  readonly trimAnswerStart: boolean = true;
  readonly #tokenizer: Tokenizer;
  readonly #bos: number;
  readonly #eos: number;

  /** @throws {CriaError} "unsupported" for a vocabulary without beginning- and end-of-text ids. */
  constructor(tokenizer: Tokenizer) {
    const { bos, eos } = tokenizer.special;
    if (bos === undefined || eos === undefined)
      throw new CriaError(
        "unsupported",
        "Llama 2's chat format needs a vocabulary with beginning- and end-of-text tokens",
      );
    this.#tokenizer = tokenizer;
    this.#bos = bos;
    this.#eos = eos;
    this.stopIds = tokenizer.endIds;
  }

  encode(messages: readonly ChatMessage[], options: ChatEncodeOptions = {}): number[] {
    checkMessages(messages);
    for (const [index, { content }] of messages.entries()) {
      const tag = TAGS.find((text) => content.includes(text));
      if (tag !== undefined)
        throw new CriaError(
          "bad-input",
          `messages[${index}].content: expected a text without the tags of Llama 2's chat format, got one with ${tag}`,
        );
    }
    const dialog = foldSystem(messages);
    checkRoles(dialog, options);
    const ids: number[] = [];
    for (let i = 0; i < dialog.length; i += 2) {
      const answer = dialog.at(i + 1)?.content;
      const open = answer === undefined || (options.continueFinal === true && i + 2 === dialog.length);
      ids.push(this.#bos, ...this.#tokenizer.encode(turnText(dialog[i].content, answer, open)));
      if (!open) ids.push(this.#eos);
    }
    return ids;
  }
}

function turnText(user: string, answer: string | undefined, open: boolean): string {
  const question = `[INST] ${stripInPython(user)} [/INST]`;
  const stripped = stripInPython(answer ?? "");
  if (open) return stripped === "" ? question : `${question} ${stripped}`;
  return `${question} ${stripped} `;
}

function foldSystem(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const [system, first, ...rest] = messages;
  if (system.role !== "system" || first?.role !== "user") return messages;
  return [{ role: "user", content: `<<SYS>>\n${system.content}\n<</SYS>>\n\n${first.content}` }, ...rest];
}

function checkRoles(dialog: readonly ChatMessage[], options: ChatEncodeOptions): void {
  for (const [index, { role }] of dialog.entries())
    if (role !== (index % 2 === 0 ? "user" : "assistant"))
      throw new CriaError(
        "bad-input",
        "Llama 2's chat format has an optional system message, then user and assistant in turn, starting with user; " +
          `got ${dialog.map((message) => message.role).join(", ")}`,
      );
  const { continueFinal = false } = options;
  const wanted = continueFinal ? "assistant" : (options.addGenerationPrompt ?? true) ? "user" : undefined;
  const last = dialog[dialog.length - 1].role;
  if (wanted !== undefined && last !== wanted)
    throw new CriaError("bad-input", `the last message must be from ${wanted}, but it is from ${last}`);
}
