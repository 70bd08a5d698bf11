/** What is kept, to take away and to bring in: chats, and ratings as preferences to train with. */
import { useEffect, useState } from "react";
import { preferenceLines } from "../../../src/feedback/rating.ts";
import type { ChatBook } from "./book.ts";
import { chatsLeftBehind, handOver, type Store } from "./store.ts";
import { type Chat, chatsFrom, withoutConsent } from "./tree.ts";

interface Props {
  readonly book: ChatBook;
  readonly chats: readonly Chat[];
  readonly store: Store | undefined;
  /** Told of what went wrong; undefined when another try begins. */
  readonly onError: (error: unknown) => void;
}

export function Exchange({ book, chats, store, onError }: Props) {
  const [news, setNews] = useState("");
  const importFile = async (file: File): Promise<void> => {
    setNews("");
    onError(undefined);
    const found = chatsFrom(await file.text());
    const rated = new Set((await store?.ratings())?.map(({ id }) => id));
    const count = book.add(found.map((chat) => withoutConsent(chat, rated)));
    const rest = found.length - count;
    setNews(
      `Brought in: ${counted(count)}.${rest > 0 ? ` Left as here, where they are as new: ${counted(rest)}.` : ""}`,
    );
  };
  return (
    <div className="exchange">
      <button type="button" onClick={() => download("cria-chats.json", JSON.stringify(chats, undefined, 1))}>
        Export chats
      </button>
      <button
        type="button"
        disabled={!store}
        onClick={() => {
          void store
            ?.ratings()
            .then((ratings) => download("cria-preferences.jsonl", preferenceLines(ratings)), onError);
        }}
      >
        Export preferences
      </button>
      <label className="button">
        Import chats
        <input
          type="file"
          accept=".json"
          onChange={({ currentTarget: input }) => {
            const file = input.files?.[0];
            if (!file) return;
            void importFile(file)
              .catch(onError)
              .finally(() => {
                // So that the same file can be chosen again.
                input.value = "";
              });
          }}
        />
      </label>
      <p className="hint" role="status">
        {news}
      </p>
      <p className="hint">{store ? `Chats are kept ${store.place}.` : ""}</p>
      {store ? <LeftBehind book={book} store={store} onError={onError} /> : null}
    </div>
  );
}

interface LeftBehindProps {
  readonly book: ChatBook;
  readonly store: Store;
  readonly onError: (error: unknown) => void;
}

/** Chats that only this browser has. Nothing of it goes to a server that nobody asked to keep it. */
function LeftBehind({ book, store, onError }: LeftBehindProps) {
  const [found, setFound] = useState<readonly Chat[]>([]);
  useEffect(() => void chatsLeftBehind(store).then(setFound), [store]);
  const left = found.filter(({ id, changed }) => (book.chat(id)?.changed ?? -1) < changed);
  if (left.length === 0) return null;
  return (
    <button
      type="button"
      onClick={() => {
        void handOver(left, store)
          .then(() => book.refresh())
          .then(() => setFound([]))
          .catch(onError);
      }}
    >
      Bring in {counted(left.length)} that this browser kept while the server did not
    </button>
  );
}

function counted(count: number): string {
  return count === 1 ? "1 chat" : `${count} chats`;
}

function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
