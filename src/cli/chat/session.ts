/**
 * A chat: reads messages, streams answers, obeys slash commands.
 *
 * Answers go to standard output; all that a program would not want to read goes to standard error. Ctrl-C stops an
 * answer, and what was said stays in the conversation.
 *
 * Flow: MessageReader (lines) → ChatSession → Conversation (messages) → model.chat → the terminal.
 */
import { writeFile } from "node:fs/promises";
import type { GenerateOptions } from "../../generate/generate.ts";
import type { ChatResult, Model } from "../../generate/model.ts";
import { CriaError } from "../../shared/errors.ts";
import { readTextFile } from "../input.ts";
import { breathe } from "../interrupt.ts";
import { ProgressBar } from "../progress-bar.ts";
import { formatInteger, plural } from "../quantities.ts";
import { formatTable } from "../table.ts";
import { errorColors, notice, writeOutput } from "../terminal.ts";
import { timingLine } from "../timing-lines.ts";
import type { Conversation } from "./conversation.ts";
import type { MessageReader } from "./message-reader.ts";
import { type ChatLine, COMMAND_HELP, parseChatLine } from "./slash-command.ts";

export interface ChatSettings {
  readonly model: Model;
  readonly conversation: Conversation;
  readonly reader: MessageReader;
  readonly options: GenerateOptions;
  /** A person watches: say more, survive errors. */
  readonly interactive: boolean;
}

type SlashCommand = Extract<ChatLine, { kind: "command" }>;

export class ChatSession {
  readonly #settings: ChatSettings;
  #answerCount = 0;
  #last: ChatResult | undefined;

  constructor(settings: ChatSettings) {
    this.#settings = settings;
  }

  /** Answers the first message, if there is one, then those of the reader until its end. */
  async run(first?: string): Promise<void> {
    if (first !== undefined) await this.#ask(first);
    for (;;) {
      const line = await this.#settings.reader.read();
      if (line === undefined) return;
      const parsed = parseChatLine(line);
      if (parsed.kind === "message") await this.#ask(parsed.text);
      else if (parsed.kind === "wrong") this.#failed(new CriaError("bad-input", parsed.reason));
      else if (parsed.kind === "command") {
        if (parsed.name === "exit") return;
        await this.#obey(parsed);
      }
    }
  }

  async #ask(message: string): Promise<void> {
    this.#settings.conversation.add("user", message);
    await this.#answer();
  }

  /** Answers the last message. Without a word of answer, the message is taken back. */
  async #answer(): Promise<void> {
    const { conversation } = this.#settings;
    const stop = new AbortController();
    const interrupt = (): void => stop.abort();
    if (this.#settings.interactive) process.on("SIGINT", interrupt);
    const bar = new ProgressBar("Reading", formatInteger);
    let text = "";
    try {
      const generation = this.#begin(stop.signal, bar);
      for await (const piece of generation.tokens()) {
        text += piece.text;
        writeOutput(piece.text);
        await breathe();
      }
      const result = await generation.result();
      conversation.add("assistant", text);
      writeOutput("\n");
      this.#finished(result);
    } catch (error) {
      bar.end();
      if (text === "") conversation.takeExchange();
      else {
        conversation.add("assistant", text);
        writeOutput("\n");
      }
      if (!stop.signal.aborted) this.#failed(error);
      else this.#say(text === "" ? "stopped before the answer began; the message is taken back" : "stopped");
    } finally {
      process.off("SIGINT", interrupt);
    }
  }

  #begin(signal: AbortSignal, bar: ProgressBar): ReturnType<Model["chat"]> {
    const { model, conversation, options, interactive } = this.#settings;
    // Each answer draws anew, /regenerate's too; a whole session repeats with its seed.
    const seed = options.seed === undefined ? {} : { seed: options.seed + this.#answerCount };
    this.#answerCount++;
    const watch = (done: number, total: number): void => (done < total ? bar.update(done, total) : bar.end());
    return model.chat(conversation.messages, {
      ...options,
      ...seed,
      signal,
      ...(interactive ? { onPromptProgress: watch } : {}),
    });
  }

  #finished(result: ChatResult): void {
    this.#last = result;
    const { model, options } = this.#settings;
    if (result.dropped.length > 0)
      this.#say(
        `the context of ${formatInteger(model.contextLength)} tokens is too short for all: ` +
          `the oldest ${plural(result.dropped.length, "message")} were left out`,
      );
    if (result.finishReason === "length") {
      const limited = options.maxTokens !== undefined && result.timings.predicted_n >= options.maxTokens;
      this.#say(
        limited ? `cut after ${plural(options.maxTokens, "token")} (-n)` : "cut: the context is full",
      );
    }
    if (this.#settings.interactive) this.#say(`${timingLine(result.timings)} · ${this.#contextLine(result)}`);
  }

  #contextLine({ ids, promptIds }: ChatResult): string {
    const used = formatInteger(promptIds.length + ids.length);
    return `context ${used} of ${formatInteger(this.#settings.model.contextLength)}`;
  }

  async #obey({ name, text }: SlashCommand): Promise<void> {
    const { conversation } = this.#settings;
    try {
      switch (name) {
        case "help":
          notice(formatTable(COMMAND_HELP.map(([usage, meaning]) => [`  ${usage}`, meaning])));
          return notice("  A line that ends with \\ goes on in the next one. Ctrl-C stops an answer.");
        case "system":
          if (text !== "") conversation.system = text;
          return this.#say(
            conversation.system === "" ? "no system prompt" : `system prompt: ${conversation.system}`,
          );
        case "regenerate":
          if (conversation.takeAnswer()) return await this.#answer();
          return this.#say("there is no message to answer again");
        case "undo":
          return this.#say(
            conversation.takeExchange() === undefined ? "there is nothing to undo" : "taken back",
          );
        case "clear":
          conversation.clear();
          return this.#say("a new conversation");
        case "save":
          await writeConversation(text, conversation);
          return this.#say(`${plural(conversation.messages.length, "message")} written to ${text}`);
        case "load":
          conversation.readJson(await readTextFile(text), text);
          return this.#say(`${plural(conversation.messages.length, "message")} from ${text}`);
        case "stats":
          return this.#stats();
        case "exit":
          return;
        default:
          name satisfies never;
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #stats(): void {
    const { model, conversation } = this.#settings;
    const turns = conversation.messages.filter(({ role }) => role === "assistant").length;
    const rows = [
      ["  model", model.name],
      ["  conversation", `${plural(conversation.messages.length, "message")}, ${plural(turns, "answer")}`],
    ];
    if (this.#last) {
      rows.push(["  context", this.#contextLine(this.#last).replace("context ", "")]);
      rows.push(["  last answer", timingLine(this.#last.timings)]);
    }
    notice(formatTable(rows));
  }

  #say(line: string): void {
    notice(errorColors.dim(`[${line}]`));
  }

  /** A person is told and can go on; a script ends with the error. */
  #failed(error: unknown): void {
    if (!this.#settings.interactive || !(error instanceof CriaError)) throw error;
    notice(`${errorColors.red("error:")} ${error.message}`);
  }
}

async function writeConversation(path: string, conversation: Conversation): Promise<void> {
  try {
    await writeFile(path, conversation.toJson());
  } catch (cause) {
    throw new CriaError("bad-input", `${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}
