/** The page: chats at the side, the conversation, and what it is asked with. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Settings } from "./backend.ts";
import { Message } from "./message.tsx";
import { preferencesOf, toJsonLines } from "./preferences.ts";
import { readChats, removeChat, saveChat } from "./store.ts";
import {
  type Chat,
  type ChatNode,
  newChat,
  pathOf,
  showing,
  siblingsOf,
  type TokenView,
  withChange,
  withNode,
} from "./tree.ts";
import { type BackendState, useBackend } from "./use-backend.ts";

const defaults: Settings = { temperature: 0.8, topP: 0.95, maxTokens: 400 };

export function App() {
  const state = useBackend();
  const { backend } = state;
  const [chats, setChats] = useState<readonly Chat[]>([]);
  const [chat, setChat] = useState<Chat>(newChat);
  const [draft, setDraft] = useState("");
  const [search, setSearch] = useState("");
  const [settings, setSettings] = useState(defaults);
  const [panel, setPanel] = useState<"chats" | "settings">();
  const [error, setError] = useState("");
  const [running, setRunning] = useState<AbortController>();
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    void readChats().then((stored) => {
      setChats(stored);
      if (stored[0]) setChat(stored[0]);
    });
  }, []);

  /** Shows, keeps and lists a changed chat. */
  const keep = useCallback((changed: Chat) => {
    setChat(changed);
    setChats((all) => [changed, ...all.filter(({ id }) => id !== changed.id)]);
    void saveChat(changed);
  }, []);

  const path = useMemo(() => pathOf(chat), [chat]);

  /** Lets the model answer the message at the end of the chat's path. */
  const answer = async (asked: Chat): Promise<void> => {
    if (!backend) return;
    const controller = new AbortController();
    const node: ChatNode = {
      id: crypto.randomUUID(),
      parent: asked.leaf,
      role: "assistant",
      content: "",
      tokens: [],
    };
    const history = pathOf(asked).map(({ role, content }) => ({ role, content }));
    const messages =
      asked.system === "" ? history : [{ role: "system" as const, content: asked.system }, ...history];
    let current = withNode(asked, node);
    let content = "";
    let tokens: TokenView[] = [];
    setRunning(controller);
    setError("");
    setChat(current);
    try {
      for await (const delta of backend.answer(messages, settings, controller.signal)) {
        content += delta.text;
        tokens = [...tokens, ...delta.tokens];
        current = withChange(current, node.id, { content, tokens });
        setChat(current);
        end.current?.scrollIntoView({ block: "end" });
      }
    } catch (failure) {
      if (!controller.signal.aborted) setError(failure instanceof Error ? failure.message : String(failure));
    } finally {
      setRunning(undefined);
      keep(current);
    }
  };

  const ask = (content: string, parent: string | undefined): void => {
    if (content.trim() === "" || !backend || running) return;
    const asked = withNode(chat, { id: crypto.randomUUID(), parent, role: "user", content: content.trim() });
    keep(asked);
    void answer(asked);
  };

  const found = chats.filter((one) => {
    const text = `${one.title} ${one.nodes.map(({ content }) => content).join(" ")}`;
    return text.toLowerCase().includes(search.toLowerCase());
  });

  return (
    <div className="page">
      <header>
        <button
          type="button"
          className="menu"
          aria-expanded={panel === "chats"}
          onClick={() => setPanel(panel === "chats" ? undefined : "chats")}
        >
          Chats
        </button>
        <h1>Cria</h1>
        <span className="model">{backend?.label ?? "no model"}</span>
        <button
          type="button"
          aria-expanded={panel === "settings"}
          onClick={() => setPanel(panel === "settings" ? undefined : "settings")}
        >
          Settings
        </button>
      </header>
      <nav className={panel === "chats" ? "open" : ""} aria-label="Chats">
        <button
          type="button"
          className="primary"
          onClick={() => {
            setChat(newChat());
            setPanel(undefined);
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
          {found.map((one) => (
            <li key={one.id} className={one.id === chat.id ? "current" : ""}>
              <button
                type="button"
                onClick={() => {
                  setChat(one);
                  setPanel(undefined);
                }}
              >
                {one.title}
              </button>
              <button
                type="button"
                aria-label={`Delete ${one.title}`}
                onClick={() => {
                  setChats(chats.filter(({ id }) => id !== one.id));
                  void removeChat(one.id);
                  if (one.id === chat.id) setChat(newChat());
                }}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
        <Exchange chats={chats} onImport={(list) => list.forEach(keep)} />
      </nav>
      <main>
        <div className="messages" aria-live="polite" aria-busy={running !== undefined}>
          {path.length === 0 ? (
            <Welcome ready={backend !== undefined} onPick={(text) => ask(text, chat.leaf)} />
          ) : null}
          {path.map((node) => (
            <Message
              key={node.id}
              node={node}
              siblings={siblingsOf(chat, node)}
              busy={running !== undefined && node.id === chat.leaf}
              onShow={(id) => keep(showing(chat, id))}
              onEdit={(content) => ask(content, node.parent)}
              onRegenerate={() => void answer({ ...chat, leaf: node.parent })}
              onFeedback={(feedback) => keep(withChange(chat, node.id, { feedback }))}
            />
          ))}
          {error !== "" ? (
            <p className="error" role="alert">
              {error}
            </p>
          ) : null}
          <div ref={end} />
        </div>
        <form
          className="composer"
          onSubmit={(event) => {
            event.preventDefault();
            ask(draft, chat.leaf);
            setDraft("");
          }}
        >
          <textarea
            aria-label="Message"
            placeholder={backend ? "Write a message" : "Load a model in the settings first"}
            value={draft}
            rows={Math.min(8, draft.split("\n").length)}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }}
          />
          {running ? (
            <button type="button" onClick={() => running.abort()}>
              Stop
            </button>
          ) : (
            <button type="submit" className="primary" disabled={!backend || draft.trim() === ""}>
              Send
            </button>
          )}
        </form>
        <p className="notice" role="status">
          {state.progress !== undefined
            ? `Loading the model: ${Math.round(100 * state.progress)} %`
            : state.notice}
        </p>
      </main>
      {panel === "settings" ? (
        <aside aria-label="Settings">
          <ModelChoice state={state} />
          <label>
            System prompt
            <textarea
              rows={4}
              value={chat.system}
              onChange={(event) => keep({ ...chat, system: event.target.value })}
            />
          </label>
          <Slider
            label="Temperature"
            value={settings.temperature}
            most={2}
            step={0.05}
            onChange={(temperature) => setSettings({ ...settings, temperature })}
          />
          <Slider
            label="Top p"
            value={settings.topP}
            most={1}
            step={0.05}
            onChange={(topP) => setSettings({ ...settings, topP: Math.max(0.05, topP) })}
          />
          <Slider
            label="Tokens at most"
            value={settings.maxTokens}
            most={2000}
            step={50}
            onChange={(maxTokens) => setSettings({ ...settings, maxTokens: Math.max(1, maxTokens) })}
          />
        </aside>
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

function ModelChoice({ state }: { readonly state: BackendState }) {
  const [address, setAddress] = useState("");
  const { server, progress } = state;
  return (
    <fieldset>
      <legend>Model</legend>
      {server ? (
        <button type="button" onClick={state.useServer}>
          On the server: {server.label}
        </button>
      ) : null}
      <button type="button" disabled={progress !== undefined} onClick={() => void state.useBrowser("")}>
        In this browser: the small one that comes with Cria
      </button>
      <label>
        In this browser, from an address or hf:user/repo/file.gguf
        <input value={address} onChange={(event) => setAddress(event.target.value)} />
      </label>
      <div className="row">
        <button
          type="button"
          disabled={address === "" || progress !== undefined}
          onClick={() => void state.useBrowser(address)}
        >
          Load
        </button>
        {progress !== undefined ? (
          <button type="button" onClick={state.stopLoading}>
            Stop loading
          </button>
        ) : null}
      </div>
      <label>
        Or a file
        <input
          type="file"
          accept=".gguf"
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file) void state.useBrowser(file);
          }}
        />
      </label>
    </fieldset>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly most: number;
  readonly step: number;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, most, step, onChange }: SliderProps) {
  return (
    <label>
      {label}: {value}
      <input
        type="range"
        min={0}
        max={most}
        step={step}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
      />
    </label>
  );
}

function Exchange({
  chats,
  onImport,
}: {
  readonly chats: readonly Chat[];
  readonly onImport: (chats: Chat[]) => void;
}) {
  const save = (name: string, text: string): void => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text]));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <div className="exchange">
      <button type="button" onClick={() => save("cria-chats.json", JSON.stringify(chats, undefined, 1))}>
        Export chats
      </button>
      <button type="button" onClick={() => save("cria-preferences.jsonl", toJsonLines(preferencesOf(chats)))}>
        Export preferences
      </button>
      <label className="button">
        Import chats
        <input
          type="file"
          accept=".json"
          onChange={(event) => {
            void event.target.files?.[0]?.text().then((text) => onImport(JSON.parse(text) as Chat[]));
          }}
        />
      </label>
    </div>
  );
}
