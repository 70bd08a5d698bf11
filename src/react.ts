/**
 * Cria in React: a model that loads with progress, and a conversation that streams.
 *
 *   const { model, progress } = useModel("https://example.org/model.gguf");
 *   const { messages, send, stop } = useChat({ model });
 *
 * The model runs in the browser, in workers of its own. On a server, where components are only written as HTML, nothing
 * is loaded.
 */
export type { ConversationMessage, ConversationOptions, ConversationState } from "./react/conversation.ts";
export type { LoadState, ModelOptions } from "./react/model-loader.ts";
export { type UseChat, type UseChatOptions, useChat } from "./react/use-chat.ts";
export { type UseModel, useModel } from "./react/use-model.ts";
