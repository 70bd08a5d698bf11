/** A server of a tiny random model behind a real socket, for tests with real clients. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Model } from "../../src/generate/model.ts";
import { load } from "../../src/node.ts";
import { type Listener, listen } from "../../src/platform/node/listen.ts";
import type { ServerOptions } from "../../src/server/context.ts";
import { type CriaServer, createServer } from "../../src/server/create-server.ts";
import { type TinyModelOptions, writeTinyModel } from "../tiny-model.ts";

export interface Started extends AsyncDisposable {
  readonly model: Model;
  readonly server: CriaServer;
  readonly url: string;
  readonly errors: unknown[];
}

export interface StartOptions extends Omit<Partial<ServerOptions>, "model"> {
  readonly tiny?: TinyModelOptions;
  /** Load this file instead of a tiny model. */
  readonly path?: string;
  readonly tokenizer?: string;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A tiny model, from a file that stays until the tests of the file are done. */
export async function loadTiny(options: TinyModelOptions = {}): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), "cria-server-"));
  folders.push(folder);
  const path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 512, ...options });
  return load(path, { threads: 1, sequences: 4 });
}

export async function start({ tiny, path, tokenizer, ...options }: StartOptions = {}): Promise<Started> {
  const model =
    path === undefined
      ? await loadTiny(tiny)
      : await load(path, { threads: 1, sequences: 4, ...(tokenizer === undefined ? {} : { tokenizer }) });
  const errors: unknown[] = [];
  const server = createServer({ model, onError: (error) => errors.push(error), ...options });
  const listener: Listener = await listen(server, { port: 0 });
  return {
    model,
    server,
    url: listener.url,
    errors,
    async [Symbol.asyncDispose]() {
      await listener.close(0);
      model.dispose();
    },
  };
}

/** The value of a metric, summed over its labels where no label is given. */
export async function metric(url: string, name: string, label = ""): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n"))
    if (line.startsWith(`cria:${name}{`) && line.includes(label)) sum += Number(line.split(" ").at(-1));
  return sum;
}

/** Everything that an async iterable gives. */
export async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}
