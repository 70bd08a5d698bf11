/** All chats, to search, open and delete; and what is taken away of them and brought in. */
import { useRef, useState } from "react";
import type { ChatBook } from "./book.ts";
import { ChatList } from "./chat-list.tsx";
import { Exchange } from "./exchange.tsx";
import type { Store } from "./store.ts";
import type { Chat } from "./tree.ts";

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
      <ChatList
        chats={found}
        shown={shown}
        onShow={(id) => {
          book.show(id);
          onClose();
        }}
        onRemove={(id, next) => {
          (next ?? start.current)?.focus();
          onRemove(id);
        }}
      />
      <Exchange book={book} chats={chats} store={store} onError={onError} />
    </nav>
  );
}
