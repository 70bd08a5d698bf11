/**
 * What the chat page keeps: conversations, and ratings that people gave for training.
 *
 * Flow: the page → server/page-data.ts → PageStore → platform/node/sqlite-store.ts.
 */
import type { Rating } from "./rating.ts";

/** A conversation as the page writes it; whoever keeps it needs to know no more than this. */
export interface KeptChat {
  readonly id: string;
  /** Unix time in milliseconds. */
  readonly changed: number;
}

export interface PageStore {
  /** The latest first. */
  chats(): readonly KeptChat[];
  saveChat(chat: KeptChat): void;
  /** No error when it is not there. */
  removeChat(id: string): void;
  /** In the order in which they were given. */
  ratings(): readonly Rating[];
  saveRating(rating: Rating): void;
  removeRating(id: string): void;
  [Symbol.dispose](): void;
}
