/**
 * A model on its way: what `useModel` shows, without React.
 *
 *   idle → loading (download, then into memory) → ready | error
 *
 * Flow: useModel → ModelLoader → load → LoadState.
 */
import type { LoadOptions } from "../browser.ts";
import type { Model } from "../generate/model.ts";
import { External } from "./external.ts";

export interface LoadState {
  readonly status: "idle" | "loading" | "ready" | "error";
  readonly model: Model | undefined;
  /** What is being done: a model that was downloaded before goes straight into memory. */
  readonly phase: "download" | "memory" | undefined;
  /** From 0 to 1, of the phase. */
  readonly progress: number;
  readonly error: Error | undefined;
  /** Why it is slower here than it could be, where it is. */
  readonly notice: string | undefined;
}

export type ModelOptions = Omit<LoadOptions, "signal" | "onDownload" | "onProgress" | "onNotice">;

const idle: LoadState = {
  ...{ status: "idle", model: undefined, phase: undefined, progress: 0, error: undefined, notice: undefined },
};

export class ModelLoader extends External<LoadState> {
  #running: AbortController | undefined;
  readonly #load: (source: string | Blob, options: LoadOptions) => Promise<Model>;

  constructor(load: (source: string | Blob, options: LoadOptions) => Promise<Model>) {
    super(idle);
    this.#load = load;
  }

  /** Loads a model in place of the one before. Resolves when it is there or has failed. */
  async start(source: string | Blob, options: ModelOptions): Promise<void> {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    const show = (change: Partial<LoadState>): void => {
      if (this.#running === running) this.set({ ...this.get(), ...change });
    };
    show({ ...idle, status: "loading" });
    try {
      const model = await this.#load(source, {
        ...options,
        signal: running.signal,
        onDownload: ({ receivedBytes, totalBytes }) =>
          show({ phase: "download", progress: shareOf(receivedBytes, totalBytes) }),
        onProgress: ({ loadedBytes, totalBytes }) =>
          show({ phase: "memory", progress: shareOf(loadedBytes, totalBytes) }),
        onNotice: (notice) => show({ notice }),
      });
      // Whoever stopped it while the last step was made does not want it any more.
      if (this.#running === running) show({ status: "ready", model, phase: undefined, progress: 1 });
      else model.dispose();
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      show({ status: "error", error, phase: undefined });
    }
  }

  /** Ends the loading, or gives the model's memory back. What was downloaded stays for the next time. */
  stop(): void {
    const { model } = this.get();
    this.#running?.abort();
    this.#running = undefined;
    if (this.get() !== idle) this.set(idle);
    model?.dispose();
  }
}

function shareOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 1;
}
