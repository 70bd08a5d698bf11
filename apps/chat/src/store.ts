/**
 * Where chats and ratings are kept: on the server that gave this page, where it keeps them, else in this browser.
 *
 * Flow: book.ts, ratings → Store → IndexedDB, or server/page-data.ts.
 */
import type { Rating } from "../../../src/feedback/rating.ts";
import { ask, checked } from "./api.ts";
import type { Chat } from "./tree.ts";

export interface Store {
  /** For people: where it is. */
  readonly place: string;
  chats(): Promise<Chat[]>;
  saveChat(chat: Chat): Promise<void>;
  removeChat(id: string): Promise<void>;
  ratings(): Promise<Rating[]>;
  saveRating(rating: Rating): Promise<void>;
  removeRating(id: string): Promise<void>;
}

/** The server's store where there is one. */
export async function openStore(): Promise<Store> {
  const response = await ask("./page/chats", { method: "HEAD" }).catch(() => undefined);
  if (response?.ok) return serverStore;
  return open().then(
    (database) => {
      database.close();
      return browserStore;
    },
    () => noStore(),
  );
}

const serverStore: Store = {
  place: "on the server that gave this page",
  chats: async () => (await (await checked(await ask("./page/chats"))).json()) as Chat[],
  saveChat: async (chat) => void (await checked(await ask("./page/chats", { json: chat }))),
  removeChat: (id) => forget(`./page/chats/${encodeURIComponent(id)}`),
  ratings: async () => (await (await checked(await ask("./page/ratings"))).json()) as Rating[],
  saveRating: async (rating) => void (await checked(await ask("./page/ratings", { json: rating }))),
  removeRating: (id) => forget(`./page/ratings/${encodeURIComponent(id)}`),
};

async function forget(path: string): Promise<void> {
  await checked(await ask(path, { method: "DELETE" }));
}

/** One record a chat or rating. */
const browserStore: Store = {
  place: "in this browser",
  chats: () => run("chats", "readonly", (store) => store.getAll()),
  saveChat: async (chat) => void (await run("chats", "readwrite", (store) => store.put(chat))),
  removeChat: (id) => run("chats", "readwrite", (store) => store.delete(id)),
  ratings: () => run("ratings", "readonly", (store) => store.getAll()),
  saveRating: async (rating) => void (await run("ratings", "readwrite", (store) => store.put(rating))),
  removeRating: (id) => run("ratings", "readwrite", (store) => store.delete(id)),
};

/**
 * Chats that this browser keeps while a server keeps others: written when the server was away, or kept none. They would be
 * out of sight for as long as it is there.
 */
export async function chatsLeftBehind(store: Store): Promise<Chat[]> {
  if (store !== serverStore) return [];
  return browserStore.chats().catch(() => []);
}

/** Gives them, and their ratings, to the store; each leaves the browser when it is kept there. */
export async function handOver(chats: readonly Chat[], store: Store): Promise<void> {
  for (const chat of chats) {
    await store.saveChat(chat);
    await browserStore.removeChat(chat.id);
  }
  for (const rating of await browserStore.ratings()) {
    await store.saveRating(rating);
    await browserStore.removeRating(rating.id);
  }
}

/** For a browser that lets the page keep nothing. */
function noStore(): Store {
  const ratings = new Map<string, Rating>();
  return {
    place:
      "only until this page is closed: the browser lets it keep nothing. “Export chats” writes them to a file",
    chats: async () => [],
    saveChat: async () => {},
    removeChat: async () => {},
    ratings: async () => [...ratings.values()],
    saveRating: async (rating) => void ratings.set(rating.id, rating),
    removeRating: async (id) => void ratings.delete(id),
  };
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("cria-chats", 2);
    request.onupgradeneeded = () => {
      for (const name of ["chats", "ratings"])
        if (!request.result.objectStoreNames.contains(name))
          request.result.createObjectStore(name, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Browsers say no more than the error's name. */
function withReason(error: DOMException | null): unknown {
  if (error?.name !== "QuotaExceededError") return error;
  return new Error(
    "The browser has no room to keep this chat: “Export chats” writes it to a file. Deleting chats or downloaded models makes room.",
    { cause: error },
  );
}

async function run<Result>(
  name: "chats" | "ratings",
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const request = work(transaction.objectStore(name));
      // A request that went well is not kept yet: that there is no room shows when the transaction ends.
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(withReason(transaction.error ?? request.error));
    });
  } finally {
    database.close();
  }
}
