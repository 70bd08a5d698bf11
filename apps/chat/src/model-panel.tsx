/** Where the model runs, and which models this browser has. */
import { useCallback, useEffect, useState } from "react";
import { hasApiKey, setApiKey } from "./api.ts";
import { listStored, removeStored, type StoredModel } from "./backend.ts";
import type { BackendState } from "./use-backend.ts";

export function ModelPanel({ state }: { readonly state: BackendState }) {
  const [address, setAddress] = useState("");
  const { server, progress } = state;
  const isLoading = progress !== undefined;
  return (
    <fieldset>
      <legend>Model</legend>
      {server ? (
        <button type="button" onClick={state.useServer}>
          On the server: {server.label}
        </button>
      ) : null}
      {state.wantsKey || hasApiKey() ? <ApiKey /> : null}
      <button type="button" disabled={isLoading} onClick={() => void state.useBrowser("")}>
        In this browser: the small one that comes with Cria
      </button>
      <label>
        In this browser, from an address or hf:user/repo/file.gguf
        <input value={address} onChange={(event) => setAddress(event.target.value)} />
      </label>
      <div className="row">
        <button
          type="button"
          disabled={address === "" || isLoading}
          onClick={() => void state.useBrowser(address)}
        >
          Load
        </button>
        {isLoading ? (
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
          onChange={({ target }) => {
            const file = target.files?.[0];
            if (file) void state.useBrowser(file);
            // So that the same file can be chosen again.
            target.value = "";
          }}
        />
      </label>
      <StoredModels
        isLoading={isLoading}
        onUse={(url) => {
          setAddress(url);
          void state.useBrowser(url);
        }}
      />
    </fieldset>
  );
}

function ApiKey() {
  const [key, setKey] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setApiKey(key);
        location.reload();
      }}
    >
      <label>
        API key of the server
        <input
          type="password"
          autoComplete="off"
          placeholder={hasApiKey() ? "one is set" : ""}
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
      </label>
      <div className="row">
        <button type="submit">Use this key</button>
      </div>
    </form>
  );
}

interface StoredModelsProps {
  readonly isLoading: boolean;
  readonly onUse: (url: string) => void;
}

/** What was downloaded before, whole or in part. */
function StoredModels({ isLoading, onUse }: StoredModelsProps) {
  const [models, setModels] = useState<readonly StoredModel[]>([]);
  const [room, setRoom] = useState("");
  const refresh = useCallback(async () => {
    setModels(await listStored());
    const { usage = 0, quota = 0 } = (await navigator.storage?.estimate()) ?? {};
    setRoom(`This site has ${megabytes(usage)} of the ${megabytes(quota)} that the browser allows it.`);
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is stored changes when loading ends
  useEffect(() => {
    void refresh().catch(() => setRoom("This browser does not let pages keep models."));
  }, [refresh, isLoading]);
  return (
    <section aria-label="Downloaded models">
      <ul className="models">
        {models.map(({ url, storedBytes, totalBytes }) => (
          <li key={url}>
            <span className="name" title={url}>
              {nameOf(url)}
            </span>
            <span className="size">
              {storedBytes === totalBytes
                ? megabytes(totalBytes)
                : `${megabytes(storedBytes)} of ${megabytes(totalBytes)}`}
            </span>
            <button type="button" disabled={isLoading} onClick={() => onUse(url)}>
              {storedBytes === totalBytes ? "Use" : "Go on"}
            </button>
            <button
              type="button"
              aria-label={`Delete ${nameOf(url)}`}
              disabled={isLoading}
              onClick={() => void removeStored(url).then(refresh)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <p className="hint">{room}</p>
    </section>
  );
}

function nameOf(url: string): string {
  const name = new URL(url).pathname.split("/").at(-1) ?? url;
  try {
    return decodeURIComponent(name);
  } catch {
    // A per cent sign that means itself.
    return name;
  }
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
