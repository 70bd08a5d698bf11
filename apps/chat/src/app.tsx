/** The page: chats at the side, the conversation, and what it is asked with. */
import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { randomId } from "../../../src/shared/random-id.ts";
import { ChatBook } from "./book.ts";
import { Composer } from "./composer.tsx";
import { Message, type MessageActions } from "./message.tsx";
import { ratingOf } from "./ratings.ts";
import { SettingsPanel } from "./settings-panel.tsx";
import { Sidebar } from "./sidebar.tsx";
import { openStore, type Store } from "./store.ts";
import {
  type Chat,
  type ChatNode,
  type Feedback,
  pathOf,
  promptOf,
  showing,
  siblingsOf,
  type TokenView,
  withChange,
  withNode,
} from "./tree.ts";
import { useBackend } from "./use-backend.ts";
import { useSettings } from "./use-settings.ts";

interface Run {
  readonly chat: string;
  /** The answer that is being made. */
  readonly node: string;
  readonly controller: AbortController;
}

/** How often an answer that is being made is kept: what a reload would lose. */
const KEEP_MS = 1000;

export function App() {
  const current = useRef<Run>(undefined);
  // An answer cannot go on when its model is taken away.
  const state = useBackend(useCallback(() => current.current?.controller.abort(), []));
  const { backend } = state;
  const [error, setError] = useState("");
  const report = useCallback((failure: unknown) => {
    setError(failure instanceof Error ? failure.message : String(failure ?? ""));
  }, []);
  const [book] = useState(() => new ChatBook(report));
  const { chats, shown: chat } = useSyncExternalStore(book.view.subscribe, book.view.get);
  const [store, setStore] = useState<Store>();
  const [settings, setSettings] = useSettings(backend?.sampling);
  const [panel, setPanel] = useState<"chats" | "settings">();
  const [running, setRunning] = useState<Run>();
  const box = useRef<HTMLDivElement>(null);
  const composer = useRef<HTMLTextAreaElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  /** Whether the end of the chat is kept in sight; who has scrolled up to read is left there. */
  const follows = useRef(true);
  const ratings = useRef<Promise<void>>(Promise.resolve());

  useEffect(() => {
    void openStore().then(async (opened) => {
      setStore(opened);
      await book.open(opened).catch(report);
    });
  }, [book, report]);

  const busy = running?.chat;
  useEffect(() => {
    const refresh = () => void book.refresh(busy).catch(report);
    window.addEventListener("focus", refresh);
    return () => window.removeEventListener("focus", refresh);
  }, [book, report, busy]);

  const path = useMemo(() => pathOf(chat), [chat]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each chat is opened at its end
  useLayoutEffect(() => {
    follows.current = true;
    // What went wrong in another chat is not said of this one.
    setError("");
  }, [chat.id]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown has grown
  useLayoutEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [path, running]);

  const closePanel = useCallback(() => {
    setPanel(undefined);
    opener.current?.focus();
  }, []);
  useEffect(() => {
    if (!panel) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) closePanel();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [panel, closePanel]);

  /** Lets the model answer the message at the end of the chat's path. */
  const answer = async (asked: Chat): Promise<void> => {
    if (!backend) return;
    const controller = new AbortController();
    const node: ChatNode = {
      id: randomId(),
      ...{ parent: asked.leaf, role: "assistant", content: "", tokens: [] },
      origin: { model: backend.label, settings: { ...settings }, system: asked.system },
    };
    let content = "";
    let tokens: TokenView[] = [];
    const run = { chat: asked.id, node: node.id, controller };
    current.current = run;
    setRunning(run);
    setError("");
    follows.current = true;
    book.change(asked.id, () => withNode(asked, node));
    book.keep(asked.id);
    // What was pressed goes away; a hand on a screen wants no keyboard there.
    if (document.activeElement?.matches(":focus-visible")) composer.current?.focus();
    let kept = Date.now();
    try {
      for await (const delta of backend.answer(promptOf(asked, node), settings, controller.signal)) {
        content += delta.text;
        tokens = [...tokens, ...delta.tokens];
        book.change(asked.id, (current) => withChange(current, node.id, { content, tokens }));
        if (Date.now() - kept < KEEP_MS) continue;
        kept = Date.now();
        book.keep(asked.id);
      }
    } catch (failure) {
      if (!controller.signal.aborted) report(failure);
    } finally {
      current.current = undefined;
      setRunning(undefined);
      book.keep(asked.id);
    }
  };

  const ask = (content: string, parent: string | undefined): boolean => {
    if (content.trim() === "" || !backend || running) return false;
    const asked = withNode(chat, {
      id: randomId(),
      ...{ parent, role: "user", content: content.trim() },
    });
    book.change(chat.id, () => asked);
    book.keep(chat.id);
    void answer(asked);
    return true;
  };

  const change = (next: (chat: Chat) => Chat): void => {
    book.change(chat.id, next);
    book.keep(chat.id);
  };

  /** One after the other: a hash takes time, and what is taken back meanwhile must not be written after that. */
  const inTurn = (work: () => Promise<void>): void => {
    ratings.current = ratings.current.then(work).catch(report);
  };

  /** Shows what a person thinks of an answer, and keeps it for training where they agree to that. */
  const rate = (node: ChatNode, feedback: Feedback): void => {
    change((current) => withChange(current, node.id, { feedback }));
    if (!store) return;
    // Another model may have taken the place of the one that answered: then nobody knows its hash any more.
    const isSame = backend?.label === node.origin?.model;
    const hash = feedback.consent && isSame && backend ? backend.hash().catch(() => "unknown") : "unknown";
    inTurn(async () => {
      if (!feedback.consent) return store.removeRating(node.id);
      await store.saveRating(ratingOf(chat, node, { feedback, hash: await hash }));
    });
  };

  const isBusy = busy === chat.id;
  const actions: MessageActions = {
    onShow: (id) => change((current) => showing(current, id)),
    onEdit: (node, content) => ask(content, node.parent),
    onRegenerate: (node) => {
      if (!running) void answer({ ...chat, leaf: node.parent });
    },
    onFeedback: rate,
  };
  // The same for all renderings, so that a token of one message draws no other anew.
  const latest = useRef(actions);
  useLayoutEffect(() => {
    latest.current = actions;
  });
  const [steady] = useState<MessageActions>(() => ({
    onShow: (id) => latest.current.onShow(id),
    onEdit: (node, content) => latest.current.onEdit(node, content),
    onRegenerate: (node) => latest.current.onRegenerate(node),
    onFeedback: (node, feedback) => latest.current.onFeedback(node, feedback),
  }));
  const toggle = (which: "chats" | "settings") => (event: React.MouseEvent<HTMLButtonElement>) => {
    opener.current = event.currentTarget;
    setPanel(panel === which ? undefined : which);
  };
  return (
    <div className="page">
      <header>
        <button type="button" className="menu" aria-expanded={panel === "chats"} onClick={toggle("chats")}>
          Chats
        </button>
        <h1>Cria</h1>
        <span className="model">{backend?.label ?? "no model"}</span>
        <button type="button" aria-expanded={panel === "settings"} onClick={toggle("settings")}>
          Settings
        </button>
      </header>
      <Sidebar
        book={book}
        chats={chats}
        shown={chat.id}
        open={panel === "chats"}
        store={store}
        onClose={() => {
          if (panel === "chats") closePanel();
        }}
        onRemove={(id) => {
          if (running?.chat === id) running.controller.abort();
          // Who deletes a chat takes back what was given of it.
          for (const node of book.chat(id)?.nodes ?? [])
            if (node.feedback?.consent) inTurn(async () => store?.removeRating(node.id));
          book.remove(id);
        }}
        onError={report}
      />
      <main>
        {/* Another chat is another region: none of it is news to be read out. */}
        <div
          key={chat.id}
          ref={box}
          className="messages"
          aria-live="polite"
          aria-busy={isBusy}
          onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
            follows.current = scrollHeight - scrollTop - clientHeight < 32;
          }}
        >
          {path.length === 0 ? (
            <Welcome ready={backend !== undefined && !running} onPick={(text) => ask(text, chat.leaf)} />
          ) : null}
          {path.map((node) => (
            <Message
              key={node.id}
              node={node}
              siblings={siblingsOf(chat, node)}
              busy={running?.node === node.id}
              idle={!running}
              actions={steady}
            />
          ))}
          {error !== "" ? (
            <p className="error" role="alert">
              {error}
            </p>
          ) : null}
        </div>
        <Composer
          area={composer}
          ready={backend !== undefined}
          onSend={(text) => ask(text, chat.leaf)}
          onStop={running ? () => running.controller.abort() : undefined}
        />
        <p className="notice">
          {/* Each per cent is to be seen, not to be read out. */}
          <span role="status">{state.progress !== undefined ? "Loading the model" : state.notice}</span>
          {state.progress !== undefined ? `: ${Math.round(100 * state.progress)} %` : ""}
        </p>
      </main>
      {panel === "settings" ? (
        <SettingsPanel
          state={state}
          system={chat.system}
          onSystem={(system) => change((current) => ({ ...current, system, changed: Date.now() }))}
          settings={settings}
          onSettings={setSettings}
        />
      ) : null}
    </div>
  );
}

const starts = [
  "Tell me a story about a little dog named Max.",
  "Continue this story: Once upon a time, a small cat found a red ball.",
];

function Welcome({ ready, onPick }: { readonly ready: boolean; readonly onPick: (text: string) => void }) {
  return (
    <section className="welcome">
      <h2>A Llama on your own device</h2>
      <p>What you write stays on this device, or on the server that you started.</p>
      {ready
        ? starts.map((text) => (
            <button key={text} type="button" onClick={() => onPick(text)}>
              {text}
            </button>
          ))
        : null}
    </section>
  );
}
