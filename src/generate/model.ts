/**
 * A loaded model: what an app holds.
 *
 * Flow: load-model.ts (files → device) → Model → generate, chat, evaluate/.
 */
import type { ModelConfig } from "../model/config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatFormat } from "./chat-format/chat-format.ts";
import { fitMessages } from "./chat-format/fit.ts";
import type { ChatMessage } from "./chat-format/messages.ts";
import type { Engine, Sequence } from "./engine.ts";
import {
  type GeneratedToken,
  type GenerateOptions,
  type GenerationResult,
  generate,
  type PromptText,
} from "./generate.ts";
import { Generation } from "./generation.ts";

export interface PromptOptions extends GenerateOptions {
  /** Read special tokens written in the prompt, such as `<s>`, as such. Default false: they are ordinary text. */
  readonly parseSpecial?: boolean;
}

/** An answer in a conversation. */
export interface ChatResult extends GenerationResult {
  /** Messages that had to be left out because the context was too short for all; empty as a rule. */
  readonly dropped: readonly ChatMessage[];
}

export interface ModelParts {
  readonly name: string;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  /** Makes the chat format when a chat begins; throws for a model without one. */
  readonly chatFormat: () => ChatFormat;
  readonly hash: () => Promise<string>;
}

export class Model {
  /** The model's own name, or its file's. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Positions that prompt and answer can take together. */
  readonly contextLength: number;
  readonly #parts: ModelParts;
  readonly #sequence: Sequence;
  #format: ChatFormat | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.config = parts.engine.config;
    this.tokenizer = parts.tokenizer;
    this.contextLength = parts.engine.contextLength;
    this.#sequence = parts.engine.createSequence();
  }

  /**
   * Continues a text. A string gets the beginning-of-text token that the model expects; ids are taken as they are, and
   * so is a prompt that already says how it and the answer join.
   *
   * @example
   * for await (const piece of model.generate("Once upon a time", { maxTokens: 100 })) process.stdout.write(piece);
   */
  generate(prompt: string | readonly number[] | PromptText, options: PromptOptions = {}): Generation {
    return new Generation(this.#exclusive(() => this.#steps(this.promptOf(prompt, options), options)));
  }

  /** The ids that `generate` starts from, and how the answer's text joins. */
  promptOf(
    prompt: string | readonly number[] | PromptText,
    options: Pick<PromptOptions, "parseSpecial"> = {},
  ): PromptText {
    if (typeof prompt === "object" && "ids" in prompt) return prompt;
    if (typeof prompt !== "string") return { ids: prompt, continues: prompt.length > 0 };
    const parseSpecial = options.parseSpecial ?? false;
    return {
      ids: this.tokenizer.encode(prompt, { addSpecial: true, parseSpecial }),
      continues: prompt !== "",
    };
  }

  /**
   * Answers the last message of a conversation. When the context is too short for all messages, the oldest turns are
   * left out and named in the result's `dropped`.
   *
   * @throws {CriaError} "bad-template" or "bad-input" (while iterating) when the messages do not fit the chat format.
   * @example
   * for await (const piece of model.chat([{ role: "user", content: "Hello!" }])) process.stdout.write(piece);
   */
  chat(messages: readonly ChatMessage[], options: GenerateOptions = {}): Generation<ChatResult> {
    return new Generation(this.#exclusive(() => this.#answer(messages, options)));
  }

  /**
   * How the model's conversations are written as ids.
   *
   * @throws {CriaError} "not-found" or "bad-template" for a model without a chat template that can be used.
   */
  get chatFormat(): ChatFormat {
    this.#format ??= this.#parts.chatFormat();
    return this.#format;
  }

  /** SHA-256 of the model's files, in hexadecimal. */
  hash(): Promise<string> {
    return this.#parts.hash();
  }

  /** A sequence of its own for evaluation; `use` has the engine to itself meanwhile. */
  async withSequence<Result>(use: (sequence: Sequence) => Promise<Result>): Promise<Result> {
    const release = await this.#acquire();
    try {
      this.#sequence.truncate(0);
      return await use(this.#sequence);
    } finally {
      release();
    }
  }

  dispose(): void {
    this.#parts.engine.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async *#answer(
    messages: readonly ChatMessage[],
    options: GenerateOptions,
  ): AsyncGenerator<GeneratedToken, ChatResult> {
    const format = this.chatFormat;
    const { ids, dropped } = fitMessages(
      format,
      messages,
      this.contextLength - this.#answerRoom(options.maxTokens),
    );
    const prompt: PromptText = {
      ids,
      continues: false,
      trimStart: format.trimAnswerStart,
      endIds: format.stopIds,
      stopStrings: format.stopStrings,
    };
    return { ...(yield* this.#steps(prompt, options)), dropped };
  }

  /** Positions kept free for an answer: what it may take, but never more than half of the context. */
  #answerRoom(maxTokens = 256): number {
    return Math.max(1, Math.min(maxTokens, Math.floor(this.contextLength / 2)));
  }

  #steps(prompt: PromptText, options: GenerateOptions): AsyncGenerator<GeneratedToken, GenerationResult> {
    return generate(this.#sequence, this.contextLength, this.tokenizer, prompt, options);
  }

  /** Answers take turns: there is one sequence. */
  async *#exclusive<Result>(
    start: () => AsyncGenerator<GeneratedToken, Result>,
  ): AsyncGenerator<GeneratedToken, Result> {
    const release = await this.#acquire();
    try {
      return yield* start();
    } finally {
      release();
    }
  }

  async #acquire(): Promise<() => void> {
    const earlier = this.#turn;
    let release: () => void = () => {};
    this.#turn = new Promise((resolve) => {
      release = resolve;
    });
    await earlier;
    return release;
  }
}
