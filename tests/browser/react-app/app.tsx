/** A small app of the hooks of `cria/react`, as an app developer writes it. */
import { useChat, useModel } from "cria/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

function Chat() {
  const [source, setSource] = useState<string>();
  const { model, status, error, stop: unload, reload } = useModel(source, { store: false, threads: 1 });
  const chat = useChat({ model, system: "ba", temperature: 0, maxTokens: 200 });
  return (
    <>
      <output aria-label="model">
        {status} {model?.name} {error?.message}
      </output>
      <button type="button" onClick={() => setSource("/tiny.gguf")}>
        Load
      </button>
      <button type="button" onClick={() => setSource("/missing.gguf")}>
        Load nothing
      </button>
      <button type="button" onClick={unload}>
        Unload
      </button>
      <button type="button" onClick={reload}>
        Reload
      </button>
      <button type="button" onClick={() => void chat.send("ba de ki")}>
        Send
      </button>
      <button type="button" onClick={() => void chat.regenerate()}>
        Again
      </button>
      <button type="button" onClick={chat.stop}>
        Stop
      </button>
      <output aria-label="status">{chat.status}</output>
      <ol>
        {chat.messages.map(({ id, role, content }) => (
          <li key={id}>
            {role}: {content}
          </li>
        ))}
      </ol>
    </>
  );
}

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Chat />
    </StrictMode>,
  );
