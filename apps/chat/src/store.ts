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

async function run<Result>(
  name: "chats" | "ratings",
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const request = work(database.transaction(name, mode).objectStore(name));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    database.close();
  }
}
