import { expect, it } from "vitest";
import type { LoadOptions } from "../browser.ts";
import type { Model } from "../generate/model.ts";
import { ModelLoader } from "./model-loader.ts";

interface Call {
  readonly source: string | Blob;
  readonly options: LoadOptions;
  readonly resolve: (model: Model) => void;
  readonly reject: (error: unknown) => void;
}

function setUp() {
  const calls: Call[] = [];
  const disposed: string[] = [];
  const loader = new ModelLoader(
    (source, options) => new Promise((resolve, reject) => calls.push({ source, options, resolve, reject })),
  );
  const model = (name: string) => ({ name, dispose: () => disposed.push(name) }) as unknown as Model;
  return { calls, disposed, loader, model };
}

it("tells how far it is, then gives the model, and disposes it with a stop", async () => {
  const { calls, disposed, loader, model } = setUp();
  const done = loader.start("a.gguf", { threads: 2 });
  expect(loader.get()).toMatchObject({ status: "loading", progress: 0 });
  expect(calls[0].options).toMatchObject({ threads: 2 });
  calls[0].options.onDownload?.({ receivedBytes: 1, totalBytes: 4 });
  expect(loader.get()).toMatchObject({ phase: "download", progress: 0.25 });
  calls[0].options.onProgress?.({ loadedBytes: 3, totalBytes: 4 });
  calls[0].options.onNotice?.("slow");
  expect(loader.get()).toMatchObject({ phase: "memory", progress: 0.75, notice: "slow" });
  calls[0].resolve(model("a"));
  await done;
  expect(loader.get()).toMatchObject({ status: "ready", model: { name: "a" }, progress: 1 });
  loader.stop();
  expect([loader.get().status, disposed]).toEqual(["idle", ["a"]]);
});

it("forgets a model that another took the place of", async () => {
  const { calls, disposed, loader, model } = setUp();
  const first = loader.start("a.gguf", {});
  const second = loader.start("b.gguf", {});
  expect(calls[0].options.signal?.aborted).toBe(true);
  calls[1].resolve(model("b"));
  calls[0].resolve(model("a"));
  await Promise.all([first, second]);
  expect(loader.get().model?.name).toBe("b");
  expect(disposed).toEqual(["a"]);
});

it("shows an error unless it was stopped", async () => {
  const { calls, loader } = setUp();
  const first = loader.start("a.gguf", {});
  calls[0].reject(new Error("not found"));
  await first;
  expect(loader.get()).toMatchObject({ status: "error", error: { message: "not found" }, model: undefined });
  const second = loader.start("a.gguf", {});
  loader.stop();
  calls[1].reject(new Error("aborted"));
  await second;
  expect(loader.get()).toMatchObject({ status: "idle", error: undefined });
});
