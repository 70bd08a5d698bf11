/** Chats in this browser: IndexedDB, one record a chat. */
import type { Chat } from "./tree.ts";

const name = "cria-chats";

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("chats", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run<Result>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const request = work(database.transaction("chats", mode).objectStore("chats"));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    database.close();
  }
}

/** All chats, the newest first. */
export async function readChats(): Promise<Chat[]> {
  const chats = await run<Chat[]>("readonly", (store) => store.getAll());
  return chats.sort((a, b) => b.changed - a.changed);
}

export async function saveChat(chat: Chat): Promise<void> {
  await run("readwrite", (store) => store.put(chat));
}

export async function removeChat(id: string): Promise<void> {
  await run("readwrite", (store) => store.delete(id));
}
