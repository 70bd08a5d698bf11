/**
 * What every chat format offers: a conversation → the ids of a prompt, and how its answer ends.
 *
 * Flow: messages → fit.ts → ChatFormat → ids → generate.ts.
 */
import type { ChatMessage } from "./messages.ts";

export interface ChatEncodeOptions {
  /** End where the assistant's answer begins. Default true, but false with `continueFinal`. */
  readonly addGenerationPrompt?: boolean;
  /** The last message is the start of an answer to be continued: nothing follows its text. Default false. */
  readonly continueFinal?: boolean;
  /** Functions that the assistant may call, as JSON-schema descriptions; for templates that know tools. */
  readonly tools?: readonly Readonly<Record<string, unknown>>[];
  /** Texts to answer from; for templates that know documents. */
  readonly documents?: readonly Readonly<Record<string, unknown>>[];
  /** Further variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface ChatFormat {
  /**
   * The ids of the whole prompt, with the beginning-of-text id where the model expects one. Text in a message never
   * becomes a control token.
   *
   * @throws {CriaError} "bad-input" for messages that the format cannot hold; "bad-template" when its template fails.
   */
  encode(messages: readonly ChatMessage[], options?: ChatEncodeOptions): number[];
  /** Ids that end an answer. */
  readonly stopIds: ReadonlySet<number>;
  /** Texts that end an answer, where the format's end mark is no token of the vocabulary. */
  readonly stopStrings: readonly string[];
  /** An answer starts with white space that is not part of it. */
  readonly trimAnswerStart: boolean;
}
