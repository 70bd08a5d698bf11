/** Which model answers: the server's where there is one, else one in this browser. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type Backend, connectServer, loadInBrowser } from "./backend.ts";

export interface BackendState {
  readonly backend: Backend | undefined;
  readonly server: Backend | undefined;
  /** The server is there but wants a key. */
  readonly wantsKey: boolean;
  /** From 0 to 1 while a model is loaded. */
  readonly progress: number | undefined;
  readonly notice: string;
  useServer(): void;
  useBrowser(source: string | File): Promise<void>;
  stopLoading(): void;
}

/** How often a server that is loading its model is asked again. */
const RETRY_MS = 2000;

/** @param beforeChange called before a model gives way to another */
export function useBackend(beforeChange: () => void): BackendState {
  const [backend, setBackend] = useState<Backend>();
  const [server, setServer] = useState<Backend>();
  const [wantsKey, setWantsKey] = useState(false);
  const [progress, setProgress] = useState<number>();
  const [notice, setNotice] = useState("");
  const loading = useRef<AbortController>(undefined);

  useEffect(() => {
    let retry: ReturnType<typeof setTimeout> | undefined;
    let isGone = false;
    const connect = async (wasLoading = false): Promise<void> => {
      const found = await connectServer();
      if (isGone) return;
      if (found === "loading") {
        if (!wasLoading) setNotice("The server is loading its model.");
        retry = setTimeout(() => void connect(true), RETRY_MS);
        return;
      }
      if (found === "key") {
        setWantsKey(true);
        setNotice("The server wants its API key: enter it in the settings.");
        return;
      }
      setServer(found);
      setBackend((current) => current ?? found);
      if (!found) setNotice("No server here: load a model into this browser.");
      else if (wasLoading) setNotice("");
    };
    void connect();
    return () => {
      isGone = true;
      clearTimeout(retry);
    };
  }, []);

  const useBrowser = useCallback(
    async (source: string | File) => {
      // Only what was asked for last is wanted.
      loading.current?.abort();
      const controller = new AbortController();
      const { signal } = controller;
      loading.current = controller;
      setProgress(0);
      setNotice("");
      try {
        const loaded = await loadInBrowser(source, {
          signal,
          onProgress: (share) => {
            if (!signal.aborted) setProgress(share);
          },
          onNotice: setNotice,
        });
        if (signal.aborted) {
          loaded.dispose();
          return;
        }
        beforeChange();
        setBackend((current) => {
          current?.dispose();
          return loaded;
        });
      } catch (error) {
        // Who stopped it knows.
        if (!signal.aborted) setNotice(error instanceof Error ? error.message : String(error));
      } finally {
        if (loading.current === controller) setProgress(undefined);
      }
    },
    [beforeChange],
  );

  return {
    ...{ backend, server, wantsKey, progress, notice, useBrowser },
    useServer: () => {
      loading.current?.abort();
      if (backend === server) return;
      beforeChange();
      setBackend((current) => {
        // A model in this browser gives its memory back.
        if (current !== server) current?.dispose();
        return server;
      });
    },
    stopLoading: () => loading.current?.abort(),
  };
}
