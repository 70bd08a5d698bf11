/**
 * A conversation with a model as it grows: what `useChat` shows, without React.
 *
 *   send → user's message + empty answer → tokens → answer      stop: the answer stays as far as it came
 *
 * Flow: useChat → Conversation → Model.chat → ConversationState.
 */
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { GenerateOptions } from "../generate/generate.ts";
import type { ChatResult, Model } from "../generate/model.ts";
import { CriaError } from "../shared/errors.ts";
import { randomId } from "../shared/random-id.ts";
import { External } from "./external.ts";

export interface ConversationMessage extends ChatMessage {
  /** For React's `key`. */
  readonly id: string;
}

export interface ConversationState {
  readonly messages: readonly ConversationMessage[];
  /** "answering" from `send` until the answer's end; "error" when the last answer failed. */
  readonly status: "ready" | "answering" | "error";
  readonly error: Error | undefined;
}

export interface ConversationOptions extends Omit<GenerateOptions, "signal"> {
  /** What the model is told before the conversation. */
  readonly system?: string;
  /** The whole of an answer that came to its end. */
  readonly onFinish?: (result: ChatResult) => void;
  readonly onError?: (error: Error) => void;
}

export class Conversation extends External<ConversationState> {
  #running: AbortController | undefined;
  /** For the next answer. */
  model: Pick<Model, "chat"> | undefined;
  options: ConversationOptions = {};

  constructor(initial: readonly ChatMessage[] = []) {
    super({ messages: initial.map(withId), status: "ready", error: undefined });
  }

  /** Says something and lets the model answer. Resolves when the answer has ended, however it ended. */
  send(content: string): Promise<void> {
    return this.#answer([...this.get().messages, withId({ role: "user", content })]);
  }

  /** Answers the user's last message again, in place of what came after it. */
  regenerate(): Promise<void> {
    const { messages } = this.get();
    const last = messages.findLastIndex(({ role }) => role === "user");
    if (last < 0) return Promise.reject(new CriaError("bad-input", "there is no message to answer"));
    return this.#answer(messages.slice(0, last + 1));
  }

  /** Ends the answer that is being made; what came of it stays. */
  stop(): void {
    this.#running?.abort();
  }

  /** Another conversation, such as one that was kept. */
  setMessages(messages: readonly ChatMessage[]): void {
    this.stop();
    this.#running = undefined;
    this.set({ messages: messages.map(withId), status: "ready", error: undefined });
  }

  async #answer(asked: readonly ConversationMessage[]): Promise<void> {
    if (!this.model) throw new CriaError("bad-input", "the model is not loaded yet");
    // One that was stopped may take a moment to end; nobody needs to wait for it.
    if (this.#running && !this.#running.signal.aborted)
      throw new CriaError("bad-input", "an answer is being made; stop() ends it");
    const running = new AbortController();
    this.#running = running;
    const { system, onFinish, onError, ...options } = this.options;
    const prompt: ChatMessage[] = asked.map(({ id: _, ...message }) => message);
    if (system !== undefined && system !== "") prompt.unshift({ role: "system", content: system });
    const answer = withId({ role: "assistant", content: "" });
    let content = "";
    /** Nothing when another conversation has taken this one's place. */
    const show = (status: ConversationState["status"], error?: Error): void => {
      if (this.#running !== running) return;
      const messages = content === "" && status !== "answering" ? asked : [...asked, { ...answer, content }];
      this.set({ messages, status, error });
    };
    show("answering");
    try {
      const generation = this.model.chat(prompt, { ...options, signal: running.signal });
      for await (const piece of generation) {
        content += piece;
        show("answering");
      }
      const result = await generation.result();
      show("ready");
      onFinish?.(result);
    } catch (cause) {
      if (running.signal.aborted) {
        show("ready");
        return;
      }
      const error = cause instanceof Error ? cause : new Error(String(cause));
      show("error", error);
      onError?.(error);
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }
}

function withId(message: ChatMessage): ConversationMessage {
  return { ...message, id: randomId() };
}
