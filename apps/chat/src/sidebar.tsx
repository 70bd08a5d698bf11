/** All chats, to search, open, delete, take away and bring in; and what was rated, to train with. */
import { useRef, useState } from "react";
import { preferenceLines } from "../../../src/feedback/rating.ts";
import type { ChatBook } from "./book.ts";
import type { Store } from "./store.ts";
import { type Chat, chatsFrom } from "./tree.ts";

/** What is searched of a chat: a version of it never changes. */
const texts = new WeakMap<Chat, string>();

function textOf(chat: Chat): string {
  const known =
    texts.get(chat) ?? [chat.title, ...chat.nodes.map(({ content }) => content)].join(" ").toLowerCase();
  texts.set(chat, known);
  return known;
}

interface Props {
  readonly book: ChatBook;
  readonly chats: readonly Chat[];
  readonly shown: string;
  readonly open: boolean;
  readonly store: Store | undefined;
  readonly onClose: () => void;
  readonly onRemove: (id: string) => void;
  readonly onError: (error: unknown) => void;
}

export function Sidebar({ book, chats, shown, open, store, onClose, onRemove, onError }: Props) {
  const [search, setSearch] = useState("");
  const found = search === "" ? chats : chats.filter((chat) => textOf(chat).includes(search.toLowerCase()));
  const start = useRef<HTMLButtonElement>(null);
  return (
    <nav className={open ? "open" : ""} aria-label="Chats">
      <button
        ref={start}
        type="button"
        className="primary"
        onClick={() => {
          book.start();
          onClose();
        }}
      >
        New chat
      </button>
      <input
        type="search"
        placeholder="Search"
        aria-label="Search in chats"
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
      <ul>
        {found.map(({ id, title }) => (
          <li key={id} className={id === shown ? "current" : ""}>
            <button
              type="button"
              aria-current={id === shown ? "page" : undefined}
              onClick={() => {
                book.show(id);
                onClose();
              }}
            >
              {title}
            </button>
            <button
              type="button"
              aria-label={`Delete ${title}`}
              onClick={({ currentTarget }) => {
                // The next chat takes the focus, or the one before, or what begins another.
                const item = currentTarget.closest("li");
                const next = item?.nextElementSibling ?? item?.previousElementSibling;
                (next?.querySelector("button") ?? start.current)?.focus();
                onRemove(id);
              }}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <div className="exchange">
        <button
          type="button"
          onClick={() => download("cria-chats.json", JSON.stringify(chats, undefined, 1))}
        >
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
            onChange={(event) => {
              const input = event.currentTarget;
              void input.files?.[0]
                ?.text()
                .then((text) => book.add(chatsFrom(text)))
                .catch(onError)
                .finally(() => {
                  // So that the same file can be chosen again.
                  input.value = "";
                });
            }}
          />
        </label>
        <p className="hint">{store ? `Chats are kept ${store.place}.` : ""}</p>
      </div>
    </nav>
  );
}

function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
