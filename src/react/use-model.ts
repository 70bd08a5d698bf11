/** A model in a component. */
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { load } from "../browser.ts";
import { type LoadState, ModelLoader, type ModelOptions } from "./model-loader.ts";

export interface UseModel extends LoadState {
  /** Ends the loading, or gives the model's memory back. */
  readonly stop: () => void;
  /** Loads it again, after a stop or an error; a download goes on where it was. */
  readonly reload: () => void;
}

/**
 * Loads a model while the component is shown, and disposes it when the component goes or the source changes. With an
 * undefined source it waits: for a click, say, before a person's data plan pays for a download.
 *
 * Options are read when a loading begins.
 *
 * @example
 * const { model, status, phase, progress, error } = useModel("https://example.org/model.gguf");
 * if (status === "loading") return <progress value={progress} />;
 */
export function useModel(source: string | Blob | undefined, options: ModelOptions = {}): UseModel {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const [loader] = useState(() => new ModelLoader(load));
  const [turn, setTurn] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each turn is another loading of the same source
  useEffect(() => {
    if (source === undefined) return;
    void loader.start(source, latest.current);
    return () => loader.stop();
  }, [loader, source, turn]);
  const [actions] = useState(() => ({
    stop: () => loader.stop(),
    reload: () => setTurn((count) => count + 1),
  }));
  const state = useSyncExternalStore(loader.subscribe, loader.get, loader.get);
  return { ...state, ...actions };
}
