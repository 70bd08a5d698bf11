import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, expect, it } from "vitest";
import type { Rating } from "../../feedback/rating.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "cria-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rating: Rating = {
  id: "b",
  time: 17,
  model: { name: "tiny", hash: "ab12" },
  settings: { temperature: 0.5 },
  prompt: [{ role: "user", content: "'; drop table ratings; --" }],
  answer: "no",
  liked: false,
  reason: "too short",
  better: "nein",
  consent: "I agree",
};

it("keeps chats and ratings over a restart, one of each id", () => {
  const path = join(folder, "new", "page.sqlite");
  {
    using store = openSqliteStore(path);
    for (const [id, changed] of [
      ["one", 1],
      ["two", 3],
      ["one", 2],
    ] as const)
      store.saveChat({ id, changed });
    store.saveRating({ ...rating, liked: true });
    store.saveRating(rating);
    store.saveRating({ ...rating, id: "a", time: 5 });
    store.removeRating("none");
  }
  using store = openSqliteStore(path);
  expect(store.chats()).toEqual([
    { id: "two", changed: 3 },
    { id: "one", changed: 2 },
  ]);
  expect(store.ratings()).toEqual([{ ...rating, id: "a", time: 5 }, rating]);
  store.removeChat("two");
  store.removeRating("a");
  expect([store.chats().length, store.ratings()]).toEqual([1, [rating]]);
});

it("refuses a file of something else, and one of a later version", () => {
  const text = join(folder, "notes.txt");
  writeFileSync(text, "these are notes and no database, long enough to be looked at as one".repeat(20));
  expect(() => openSqliteStore(text)).toThrow(/notes\.txt: no store of chats and ratings/);
  const later = join(folder, "later.sqlite");
  const database = new DatabaseSync(later);
  database.exec("pragma user_version = 9");
  database.close();
  const foreign = join(folder, "foreign.sqlite");
  const other = new DatabaseSync(foreign);
  other.exec("create table chats (something text)");
  other.close();
  expect(() => openSqliteStore(foreign)).toThrow(/foreign\.sqlite: .*it is another program's/);
  expect(() => openSqliteStore("")).toThrow(/expected a file's path/);
  expect(() => openSqliteStore(join(text, "below", "page.sqlite"))).toThrow(/no store of chats and ratings/);
  expect(() => openSqliteStore(later)).toThrow(/it has version 9; this version of Cria knows 1/);
});
