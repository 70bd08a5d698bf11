/**
 * Conversations and ratings of the chat page in one SQLite file. Every change is on the disk before it is answered.
 *
 * Ratings have a column for each thing that people will ask for with `sqlite3 FILE`; conversations are the page's own
 * affair and stay JSON.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { KeptChat, PageStore } from "../../feedback/page-store.ts";
import type { RatedMessage, Rating } from "../../feedback/rating.ts";
import { CriaError } from "../../shared/errors.ts";

/** Of the tables below, in `pragma user_version`: a file of a later version is left alone. */
const VERSION = 1;
/** "CRIA", in `pragma application_id`: a file of another program is left alone. */
const APPLICATION = 0x43524941;
/** How long to wait for another server that writes to the same file. */
const BUSY_MS = 5000;
const TABLES = `
  create table if not exists chats (id text primary key, changed integer not null, chat text not null) strict;
  create table if not exists ratings (
    id text primary key,
    time integer not null,
    model_name text not null,
    model_hash text not null,
    settings text not null,
    prompt text not null,
    answer text not null,
    liked integer not null,
    reason text not null,
    better text not null,
    consent text not null
  ) strict;
  pragma application_id = ${APPLICATION};
  pragma user_version = ${VERSION};
`;

interface RatingRow {
  readonly id: string;
  readonly time: number;
  readonly model_name: string;
  readonly model_hash: string;
  readonly settings: string;
  readonly prompt: string;
  readonly answer: string;
  readonly liked: number;
  readonly reason: string;
  readonly better: string;
  readonly consent: string;
}

/**
 * Opens the file, or makes it with its folder.
 *
 * @throws {CriaError} "bad-file" for a file that is no such store, or that a later version of Cria wrote.
 */
export function openSqliteStore(path: string): PageStore {
  const database = open(path);
  const listChats = database.prepare("select chat from chats order by changed desc");
  const putChat = database.prepare("insert or replace into chats values (?, ?, ?)");
  const dropChat = database.prepare("delete from chats where id = ?");
  const listRatings = database.prepare("select * from ratings order by time, id");
  const putRating = database.prepare(
    "insert or replace into ratings values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const dropRating = database.prepare("delete from ratings where id = ?");
  return {
    chats: () => listChats.all().map(({ chat }) => JSON.parse(String(chat)) as KeptChat),
    saveChat(chat) {
      putChat.run(chat.id, Math.round(chat.changed), JSON.stringify(chat));
    },
    removeChat(id) {
      dropChat.run(id);
    },
    ratings: () => listRatings.all().map((row) => ratingOf(row as unknown as RatingRow)),
    saveRating({ id, time, model, settings, prompt, answer, liked, reason, better, consent }) {
      const lists = [JSON.stringify(settings), JSON.stringify(prompt)] as const;
      putRating.run(
        ...[id, Math.round(time), model.name, model.hash, ...lists, answer],
        ...[liked ? 1 : 0, reason, better, consent],
      );
    },
    removeRating(id) {
      dropRating.run(id);
    },
    [Symbol.dispose]: () => database.close(),
  };
}

function open(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (path === "") throw new Error("expected a file's path");
    mkdirSync(dirname(path), { recursive: true });
    database = new DatabaseSync(path, { timeout: BUSY_MS });
    const number = (query: string): number => Number(Object.values(database?.prepare(query).get() ?? {})[0]);
    if (number("select count(*) from sqlite_master") > 0 && number("pragma application_id") !== APPLICATION)
      throw new Error("it is another program's");
    const version = number("pragma user_version");
    if (version > VERSION)
      throw new Error(`it has version ${version}; this version of Cria knows ${VERSION} at most`);
    database.exec(TABLES);
    return database;
  } catch (cause) {
    database?.close();
    const { message } = cause as Error;
    throw new CriaError("bad-file", `${path}: no store of chats and ratings: ${message}`, { cause });
  }
}

function ratingOf({ model_name, model_hash, settings, prompt, liked, ...rest }: RatingRow): Rating {
  return {
    ...rest,
    model: { name: model_name, hash: model_hash },
    settings: JSON.parse(settings) as Record<string, number>,
    prompt: JSON.parse(prompt) as RatedMessage[],
    liked: liked === 1,
  };
}
