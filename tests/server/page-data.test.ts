/** Where the chat page keeps its conversations and ratings, over a socket. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Rating } from "../../src/feedback/rating.ts";
import { openSqliteStore } from "../../src/platform/node/sqlite-store.ts";
import { pageEndpoints } from "../../src/server/page-data.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { type Started, start } from "./start.ts";

let folder = "";
let path = "";
let server: Started;
const closing = new DisposableStack();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-page-data-"));
  path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 64 });
  const store = closing.use(openSqliteStore(join(folder, "page.sqlite")));
  server = await start({ path, endpoints: pageEndpoints(store), bodyBytes: 10_000 });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  closing.dispose();
  await rm(folder, { recursive: true, force: true });
});

const send = (address: string, body?: unknown, method = body === undefined ? "GET" : "POST") =>
  fetch(server.url + address, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });

const rating: Rating = {
  id: "one",
  time: 1,
  model: { name: "tiny", hash: "" },
  settings: { temperature: 1 },
  prompt: [{ role: "user", content: "hi" }],
  answer: "no",
  liked: false,
  reason: "",
  better: "hello",
  consent: "I agree",
};

it("keeps chats, also long ones, and forgets them", async () => {
  const chat = { id: "a/b ü", changed: 5, title: "x", nodes: [{ text: "long ".repeat(10_000) }] };
  expect((await send("/page/chats", chat)).status).toBe(204);
  expect((await send("/page/chats", { id: "b", changed: 9 })).status).toBe(204);
  expect(await (await send("/page/chats")).json()).toEqual([{ id: "b", changed: 9 }, chat]);
  expect((await send(`/page/chats/${encodeURIComponent(chat.id)}`, undefined, "DELETE")).status).toBe(204);
  expect(await (await send("/page/chats")).json()).toEqual([{ id: "b", changed: 9 }]);
});

it("keeps ratings with the hash of the model, and gives them as preferences", async () => {
  expect((await send("/page/ratings", rating)).status).toBe(204);
  const other = { ...rating, id: "two", model: { name: "of the browser", hash: "unknown" }, better: "" };
  expect((await send("/page/ratings", other)).status).toBe(204);
  const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
  expect(await (await send("/page/ratings")).json()).toEqual([
    { ...rating, model: { name: "tiny", hash } },
    other,
  ]);
  const response = await send("/page/preferences.jsonl");
  expect(response.headers.get("content-disposition")).toContain("preferences.jsonl");
  expect(JSON.parse(await response.text())).toEqual({
    prompt: rating.prompt,
    chosen: [{ role: "assistant", content: "hello" }],
    rejected: [{ role: "assistant", content: "no" }],
  });
  await send("/page/ratings/one", undefined, "DELETE");
  expect(await (await send("/page/preferences.jsonl")).text()).toBe("");
});

it.each([
  ["no consent", "/page/ratings", { ...rating, consent: "" }, /^consent/],
  ["a field too many", "/page/ratings", { ...rating, extra: 1 }, /^extra/],
  ["a date that no calendar has", "/page/chats", { id: "x", changed: 1e300 }, /^changed/],
  ["a chat without a name", "/page/chats", { changed: 1 }, /^id/],
])("refuses %s", async (_, address, body, message) => {
  const response = await send(address, body);
  const { error } = (await response.json()) as { error: { message: string } };
  expect([response.status, error.message]).toEqual([400, expect.stringMatching(message)]);
});

it("is not there where nothing is kept", async () => {
  await using plain = await start();
  expect((await fetch(`${plain.url}/page/chats`)).status).toBe(404);
});
