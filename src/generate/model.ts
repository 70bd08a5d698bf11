/**
 * A loaded model: what an app holds.
 *
 * Flow: load-model.ts (files → device) → Model → generate, chat, evaluate/.
 */
import type { FileSystem } from "../files/byte-source.ts";
import type { AdapterContents } from "../model/adapter.ts";
import type { ModelConfig } from "../model/config.ts";
import type { LoadedAdapter } from "../model/load-adapter.ts";
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { sharedLength } from "../shared/shared-length.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatFormat } from "./chat-format/chat-format.ts";
import { fitMessages } from "./chat-format/fit.ts";
import type { ChatMessage } from "./chat-format/messages.ts";
import type { Engine, EngineStatistics, Sequence } from "./engine.ts";
import {
  type GeneratedToken,
  type GenerateOptions,
  type GenerationResult,
  generate,
  type PromptText,
} from "./generate.ts";
import { Generation } from "./generation.ts";
import { restoreSession, saveSession } from "./session.ts";
import type { DraftModel } from "./speculative.ts";

export interface PromptOptions extends GenerateOptions {
  /** Read special tokens written in the prompt, such as `<s>`, as such. Default false: they are ordinary text. */
  readonly parseSpecial?: boolean;
}

/** An answer in a conversation. */
export interface ChatResult extends GenerationResult {
  /** Messages that had to be left out because the context was too short for all; empty as a rule. */
  readonly dropped: readonly ChatMessage[];
}

/** What a model has done and is doing. */
export interface ModelStatistics extends EngineStatistics {
  /** Sequences that someone has, whether it is in a step or not. */
  readonly answering: number;
  /** Answers that wait for a sequence. */
  readonly waiting: number;
}

/** An adapter by its name, and a factor for its effect. */
interface AdapterChoice {
  readonly name: string;
  /** Default 1. */
  readonly scale?: number;
}

export interface ModelParts {
  readonly name: string;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly sampling: RecommendedSampling;
  /** Makes the chat format when a chat begins; throws for a model without one. */
  readonly chatFormat: () => ChatFormat;
  readonly hash: () => Promise<string>;
  readonly openAdapter: (path: string) => Promise<AdapterContents>;
  /** Where sessions are kept. */
  readonly files: FileSystem;
}

export class Model {
  /** The model's own name, or its file's. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Positions that prompt and answer can take together. */
  readonly contextLength: number;
  /** What the model's maker recommends: the defaults of what `generate` and `chat` are not told. Often empty. */
  readonly sampling: RecommendedSampling;
  readonly #parts: ModelParts;
  /** Sequences that nobody uses, with what they hold: the next prompt may go on from it. */
  readonly #idle: Sequence[];
  readonly #adapters = new Map<string, AdapterContents>();
  readonly #active: LoadedAdapter[] = [];
  readonly #waiting: { take(sequence: Sequence): void; fail(error: CriaError): void }[] = [];
  /** The draft models of the answers that are made or wait. */
  readonly #drafts: DraftModel[] = [];
  #disposed = false;
  /** The last change of adapters. */
  #changing: Promise<void> = Promise.resolve();
  #format: ChatFormat | undefined;
  #hash: Promise<string> | undefined;

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.config = parts.engine.config;
    this.tokenizer = parts.tokenizer;
    this.sampling = parts.sampling;
    this.contextLength = parts.engine.contextLength;
    this.#idle = Array.from({ length: parts.engine.sequenceCapacity }, () => parts.engine.createSequence());
  }

  /**
   * Continues a text. A string gets the beginning-of-text token that the model expects; ids are taken as they are, and
   * so is a prompt that already says how it and the answer join.
   *
   * @example
   * for await (const piece of model.generate("Once upon a time", { maxTokens: 100 })) process.stdout.write(piece);
   */
  generate(prompt: string | readonly number[] | PromptText, options: PromptOptions = {}): Generation {
    return new Generation(this.#answered(() => this.promptOf(prompt, options), options));
  }

  /** The ids that `generate` starts from, and how the answer's text joins. */
  promptOf(
    prompt: string | readonly number[] | PromptText,
    options: Pick<PromptOptions, "parseSpecial"> = {},
  ): PromptText {
    if (typeof prompt === "object" && prompt !== null && "ids" in prompt) return prompt;
    if (typeof prompt !== "string") {
      // Other lists of numbers lack what is done with these, or do it otherwise.
      if (!Array.isArray(prompt))
        throw new CriaError("bad-input", "prompt: expected a text, or an array of token ids");
      return { ids: prompt, continues: prompt.length > 0 };
    }
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
    return new Generation(this.#answer(messages, options));
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
    this.#hash ??= this.#parts.hash().catch((error: unknown) => {
      // The next to ask may have more luck.
      this.#hash = undefined;
      throw error;
    });
    return this.#hash;
  }

  /** An empty sequence of its own, for evaluation. Waits for one while all are in use. */
  async withSequence<Result>(use: (sequence: Sequence) => Promise<Result>): Promise<Result> {
    const sequence = await this.#acquire([], undefined);
    try {
      sequence.truncate(0);
      return await use(sequence);
    } finally {
      this.#release(sequence);
    }
  }

  /**
   * One vector of unit length for each text: the mean of what the last layer gives for its tokens, [width]. Near texts
   * have a large dot product.
   *
   * @throws {CriaError} "bad-input" for an empty text, "context-full" for one that is too long.
   */
  async embed(
    inputs: readonly (string | readonly number[])[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Float32Array[]> {
    if (!Array.isArray(inputs)) throw new CriaError("bad-input", "embed: expected an array of texts");
    const prompts = inputs.map((input) => this.promptOf(input).ids);
    return Promise.all(prompts.map((ids) => this.#embedOne(ids, options.signal)));
  }

  /**
   * Loads a LoRA adapter (a GGUF file or a PEFT folder) to be used by its name.
   *
   * @throws {CriaError} "bad-file" or "unsupported" for one that does not fit the model; "bad-input" for a name that is taken
   */
  async loadAdapter(path: string, options: { readonly name?: string } = {}): Promise<string> {
    const contents = await this.#parts.openAdapter(path);
    const name = options.name ?? contents.name;
    if (this.#adapters.has(name)) throw new CriaError("bad-input", `an adapter ${name} is loaded already`);
    this.#adapters.set(name, { ...contents, name });
    return name;
  }

  /** Names of the loaded adapters. */
  get adapters(): readonly string[] {
    return [...this.#adapters.keys()];
  }

  /**
   * Answers with these adapters from now on, each with a factor for its effect; with an empty list as the base alone.
   * Waits for the answers that are being made.
   *
   * @throws {CriaError} "not-found" for a name that is not loaded
   */
  useAdapters(list: readonly AdapterChoice[]): Promise<void> {
    // One change at a time: two that hold some of the sequences each would wait for each other for ever.
    const change = this.#changing.then(() => this.#changeAdapters(list));
    this.#changing = change.catch(() => {});
    return change;
  }

  async #changeAdapters(list: readonly AdapterChoice[]): Promise<void> {
    const { engine } = this.#parts;
    const held: Sequence[] = [];
    const loaded: LoadedAdapter[] = [];
    try {
      // All sequences: then nobody is in the midst of an answer.
      while (held.length < engine.sequenceCapacity) held.push(await this.#acquire([], undefined));
      for (const { name, scale = 1 } of list) {
        const contents = this.#adapters.get(name);
        if (!contents)
          throw new CriaError(
            "not-found",
            `no adapter ${name} is loaded; there are: ${this.adapters.join(", ") || "none"}`,
          );
        loaded.push(await engine.loadAdapter(contents, scale));
      }
      await engine.useAdapters(loaded);
      for (const adapter of this.#active.splice(0, this.#active.length, ...loaded)) adapter.dispose();
    } catch (error) {
      for (const adapter of loaded) adapter.dispose();
      throw error;
    } finally {
      // The last one that was used was taken first, and is the last one again.
      for (const sequence of held.reverse()) this.#release(sequence);
    }
  }

  /**
   * Keeps in a file what has been read and made of a text, so that a prompt which begins alike goes on from there in a
   * later run: `restoreSession`. A token takes 4 · layers · key/value heads · head length bytes, in Q8_0 0.53 of that.
   *
   * @param prompt which text; it is the last one where nothing is given, or where no other begins like it.
   * @returns how many tokens the session has.
   */
  async saveSession(
    path: string,
    options: { readonly prompt?: string | readonly number[]; readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    const { prompt, signal } = options;
    const hash = await this.hash();
    const sequence = await this.#acquire(prompt === undefined ? [] : this.promptOf(prompt).ids, signal);
    try {
      await saveSession(path, this.#parts.files, sequence, hash, signal);
      return sequence.ids.length;
    } finally {
      this.#release(sequence);
    }
  }

  /**
   * Takes up what `saveSession` kept.
   *
   * @returns its tokens: what the next prompt may begin with.
   * @throws {CriaError} "not-found"; "bad-file" for a damaged file; "bad-input" for a session of another model, other
   * adapters or another cache format; "context-full" when it is longer than the context; "aborted"
   */
  async restoreSession(path: string, options: { readonly signal?: AbortSignal } = {}): Promise<number[]> {
    const hash = await this.hash();
    const sequence = await this.#acquire([], options.signal);
    try {
      await restoreSession(path, this.#parts.files, sequence, hash, options.signal);
      return [...sequence.ids];
    } finally {
      this.#release(sequence);
    }
  }

  /** Counts since the model was loaded, and what is going on. */
  get statistics(): ModelStatistics {
    const { engine } = this.#parts;
    const answering = engine.sequenceCapacity - this.#idle.length;
    return { ...engine.statistics, answering, waiting: this.#waiting.length };
  }

  dispose(): void {
    this.#disposed = true;
    this.#parts.engine.dispose();
    // Whoever has the sequence they wait for may never come to give it back.
    for (const { fail } of this.#waiting.splice(0)) fail(disposed());
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
    return { ...(yield* this.#answered(() => prompt, options)), dropped };
  }

  /** Positions kept free for an answer: what it may take, but never more than half of the context. */
  #answerRoom(maxTokens = 256): number {
    return Math.max(1, Math.min(maxTokens, Math.floor(this.contextLength / 2)));
  }

  async #embedOne(ids: readonly number[], signal: AbortSignal | undefined): Promise<Float32Array> {
    if (ids.length === 0)
      throw new CriaError("bad-input", "embed: a text has no tokens; expected at least one");
    const sequence = await this.#acquire([], signal);
    const mean = new Float64Array(this.config.width);
    try {
      sequence.truncate(0);
      await sequence.append(ids, "all", {
        ...(signal ? { signal } : {}),
        onHidden: (row) => {
          for (let i = 0; i < mean.length; i++) mean[i] += row[i];
        },
      });
    } finally {
      this.#release(sequence);
    }
    const length = Math.hypot(...mean) || 1;
    return Float32Array.from(mean, (value) => value / length);
  }

  /** The answer to a prompt, in a sequence that is given back at its end, however it ends. */
  async *#answered(
    promptOf: () => PromptText,
    options: GenerateOptions,
  ): AsyncGenerator<GeneratedToken, GenerationResult> {
    const prompt = promptOf();
    // It would wait for a sequence that its own answer holds.
    if (typeof options.speculate === "object" && options.speculate.draft === this)
      throw new CriaError("bad-input", "a model cannot be its own draft model; expected a smaller one");
    const draft = typeof options.speculate === "object" ? options.speculate.draft : undefined;
    // Each would hold a sequence that the other waits for.
    if (draft instanceof Model && draft.#drafts.includes(this))
      throw new CriaError("bad-input", "two models cannot be each other's draft model at the same time");
    if (draft) this.#drafts.push(draft);
    try {
      const sequence = await this.#acquire(prompt.ids, options.signal);
      try {
        return yield* generate(sequence, this.contextLength, this.tokenizer, prompt, options, this.sampling);
      } finally {
        this.#release(sequence);
      }
    } finally {
      if (draft) this.#drafts.splice(this.#drafts.indexOf(draft), 1);
    }
  }

  /** The idle sequence that holds most of the prompt; when all are in use, the next that becomes free. */
  async #acquire(ids: readonly number[], signal: AbortSignal | undefined): Promise<Sequence> {
    throwIfAborted(signal);
    // Nor one that is idle: an empty one would be saved as a session without a word.
    if (this.#disposed) throw disposed();
    if (this.#idle.length > 0) {
      let best = this.#idle.length - 1;
      for (let i = best; i >= 0; i--)
        if (sharedLength(this.#idle[i].ids, ids) > sharedLength(this.#idle[best].ids, ids)) best = i;
      return this.#idle.splice(best, 1)[0];
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        take: (sequence: Sequence): void => {
          signal?.removeEventListener("abort", leave);
          resolve(sequence);
        },
        fail: (error: CriaError): void => {
          signal?.removeEventListener("abort", leave);
          reject(error);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new CriaError("aborted", "the operation was aborted", { cause: signal?.reason }));
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #release(sequence: Sequence): void {
    const next = this.#waiting.shift();
    if (next) next.take(sequence);
    else this.#idle.push(sequence);
  }
}

function disposed(): CriaError {
  return new CriaError("disposed", "the model was disposed");
}
