/** The chats by title: of thousands the latest, since each that is drawn slows down every token of an answer. */
import { useState } from "react";
import type { Chat } from "./tree.ts";

const AT_ONCE = 100;

interface Props {
  /** The latest first. */
  readonly chats: readonly Chat[];
  readonly shown: string;
  readonly onShow: (id: string) => void;
  /** @param next what takes the focus; undefined when no chat is left */
  readonly onRemove: (id: string, next: HTMLElement | undefined) => void;
}

export function ChatList({ chats, shown, onShow, onRemove }: Props) {
  const [count, setCount] = useState(AT_ONCE);
  return (
    <ul>
      {chats.slice(0, count).map(({ id, title }) => (
        <li key={id} className={id === shown ? "current" : ""}>
          <button type="button" aria-current={id === shown ? "page" : undefined} onClick={() => onShow(id)}>
            {title}
          </button>
          <button
            type="button"
            aria-label={`Delete ${title}`}
            onClick={({ currentTarget }) => {
              // The next chat takes the focus, or the one before.
              const item = currentTarget.closest("li");
              const next = item?.nextElementSibling ?? item?.previousElementSibling;
              onRemove(id, next?.querySelector("button") ?? undefined);
            }}
          >
            ×
          </button>
        </li>
      ))}
      {chats.length > count ? (
        <li>
          <button type="button" onClick={() => setCount(count + AT_ONCE)}>
            Show more ({chats.length - count})
          </button>
        </li>
      ) : null}
    </ul>
  );
}
