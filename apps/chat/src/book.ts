/**
 * All chats of this page, and which of them is shown. Changes name the chat that they are of, so that an answer goes on
 * in its own chat and branch wherever the person has gone meanwhile.
 *
 * Flow: Store → ChatBook → useSyncExternalStore.
 */
import { External } from "../../../src/react/external.ts";
import type { Store } from "./store.ts";
import { type Chat, chatFrom, newChat } from "./tree.ts";

export interface BookView {
  /** The latest first; one that nothing was said in is not listed. */
  readonly chats: readonly Chat[];
  readonly shown: Chat;
}

export class ChatBook {
  #store: Store | undefined;
  #chats: readonly Chat[] = [newChat()];
  readonly #first: string = this.#chats[0].id;
  #shown: string = this.#first;
  readonly view: External<BookView> = new External(this.#viewOf());
  /** Chats whose last version is not kept yet, or whose removal is not. */
  readonly #unsaved = new Set<string>();
  #isSaving = false;
  /** Settles when what was to be kept is kept. */
  #saved: Promise<void> = Promise.resolve();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds what the store has, and shows the latest of it unless the person has begun a chat already. */
  async open(store: Store): Promise<void> {
    this.#store = store;
    // Any program may have written there.
    const stored = (await store.chats())
      .flatMap((chat) => chatFrom(chat) ?? [])
      .sort((a, b) => b.changed - a.changed);
    const own = new Set(this.#chats.map(({ id }) => id));
    const isUntouched = this.#shown === this.#first && this.view.get().shown.nodes.length === 0;
    this.#chats = [...this.#chats, ...stored.filter(({ id }) => !own.has(id))];
    if (isUntouched && stored[0]) this.#shown = stored[0].id;
    this.#tell();
    if (!this.#isSaving) this.#saved = this.#save();
    await this.#saved;
  }

  /**
   * Takes what another tab has kept since: this one would write its older version over it.
   *
   * @param busy a chat in which an answer is being made, which is left alone.
   */
  async refresh(busy?: string): Promise<void> {
    const store = this.#store;
    if (!store) return;
    // What was removed here is still in the store until that is done.
    if (this.#unsaved.size > 0 && !this.#isSaving) this.#saved = this.#save();
    while (this.#isSaving) await this.#saved;
    const before = new Map(this.#chats.map((chat) => [chat.id, chat]));
    const stored = (await store.chats()).flatMap((chat) => chatFrom(chat) ?? []);
    const newer = stored.filter(({ id, changed }) => {
      const own = this.chat(id);
      // What happened to a chat while the store was read is newer than what was read.
      return id !== busy && own === before.get(id) && (!own || own.changed < changed);
    });
    if (newer.length === 0) return;
    const ids = new Set(newer.map(({ id }) => id));
    this.#chats = [...this.#chats.filter(({ id }) => !ids.has(id)), ...newer];
    this.#tell();
  }

  chat(id: string): Chat | undefined {
    return this.#chats.find((chat) => chat.id === id);
  }

  /** Another version of a chat; nothing happens when it was removed. It is only kept with `keep`. */
  change(id: string, change: (chat: Chat) => Chat): void {
    this.#chats = this.#chats.map((chat) => (chat.id === id ? change(chat) : chat));
    this.#tell();
  }

  keep(id: string): void {
    this.#unsaved.add(id);
    if (!this.#isSaving) this.#saved = this.#save();
  }

  /** One after the other, each in its last version: of two that are sent at once the first may come last. */
  async #save(): Promise<void> {
    const store = this.#store;
    if (!store) return;
    this.#isSaving = true;
    const failed: string[] = [];
    for (const id of this.#unsaved) {
      this.#unsaved.delete(id);
      const chat = this.chat(id);
      await (chat ? store.saveChat(chat) : store.removeChat(id)).catch((error: unknown) => {
        failed.push(id);
        this.#onError(error);
      });
    }
    // Tried again with the next change, or when the page is come back to.
    for (const id of failed) this.#unsaved.add(id);
    this.#isSaving = false;
  }

  show(id: string): void {
    this.#shown = id;
    this.#tell();
  }

  start(): void {
    const chat = newChat();
    this.#chats = [chat, ...this.#chats];
    this.show(chat.id);
  }

  /**
   * Takes chats from elsewhere, but no version that is older than the one here: an old export would undo what was said since.
   *
   * @returns how many were taken
   */
  add(chats: readonly Chat[]): number {
    const taken = new Map<string, Chat>();
    for (const chat of chats) {
      const known = taken.get(chat.id) ?? this.chat(chat.id);
      if (!known || known.changed < chat.changed) taken.set(chat.id, chat);
    }
    this.#chats = [...this.#chats.filter(({ id }) => !taken.has(id)), ...taken.values()];
    this.#tell();
    for (const id of taken.keys()) this.keep(id);
    return taken.size;
  }

  remove(id: string): void {
    this.#chats = this.#chats.filter((chat) => chat.id !== id);
    this.keep(id);
    if (this.#shown === id) this.start();
    else this.#tell();
  }

  #viewOf(): BookView {
    const chats = this.#chats.filter(({ nodes }) => nodes.length > 0).sort((a, b) => b.changed - a.changed);
    return { chats, shown: this.chat(this.#shown) ?? this.#chats[0] };
  }

  #tell(): void {
    this.view.set(this.#viewOf());
  }
}
