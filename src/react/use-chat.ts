/** A conversation in a component. */
import { useEffect, useState, useSyncExternalStore } from "react";
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { Model } from "../generate/model.ts";
import { Conversation, type ConversationOptions, type ConversationState } from "./conversation.ts";

export interface UseChatOptions extends ConversationOptions {
  /** Undefined while it is being loaded: `send` refuses until it is there. */
  readonly model: Model | undefined;
  /** What was said before; read once. */
  readonly initialMessages?: readonly ChatMessage[];
}

export interface UseChat extends ConversationState {
  /** Says something and lets the model answer. @throws {CriaError} "bad-input" without a model, or while it answers */
  readonly send: (content: string) => Promise<void>;
  /** Answers the last message again. */
  readonly regenerate: () => Promise<void>;
  /** Ends the answer; what came of it stays. */
  readonly stop: () => void;
  readonly setMessages: (messages: readonly ChatMessage[]) => void;
}

/**
 * Messages that grow while the model answers. Further options are those of `model.chat`: temperature, maxTokens …
 * The answer is stopped when the component goes.
 *
 * @example
 * const { model } = useModel("hf:bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_0.gguf");
 * const { messages, send, stop, status } = useChat({ model, system: "Be brief.", temperature: 0.7 });
 */
export function useChat({ model, initialMessages, ...options }: UseChatOptions): UseChat {
  const [conversation] = useState(() => new Conversation(initialMessages));
  const [actions] = useState(() => ({
    send: (content: string) => conversation.send(content),
    regenerate: () => conversation.regenerate(),
    stop: () => conversation.stop(),
    setMessages: (messages: readonly ChatMessage[]) => conversation.setMessages(messages),
  }));
  // After each render: what is sent next is asked with what the component said last.
  useEffect(() => {
    conversation.model = model;
    conversation.options = options;
  });
  // Also when another model takes the place of the one that answers, which is disposed as a rule.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of the model is what ends the answer
  useEffect(() => () => conversation.stop(), [conversation, model]);
  const state = useSyncExternalStore(conversation.subscribe, conversation.get, conversation.get);
  return { ...state, ...actions };
}
