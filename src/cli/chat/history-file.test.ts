import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { appendHistory, HISTORY_LENGTH, historyPath, readHistory } from "./history-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cria-history-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("lines come back newest first, from a file of the user's own", () => {
  const path = historyPath({ XDG_STATE_HOME: folder });
  for (const line of ["first", "  ", "second"]) appendHistory(path, line);
  expect(path).toBe(join(folder, "cria", "history"));
  expect(readHistory(path)).toEqual(["second", "first"]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a long history is cut", () => {
  const path = join(folder, "history");
  writeFileSync(path, Array.from({ length: 2 * HISTORY_LENGTH + 1 }, (_, line) => `${line}\n`).join(""));
  const lines = readHistory(path);
  expect(lines.length).toBe(HISTORY_LENGTH);
  expect(lines[0]).toBe(String(2 * HISTORY_LENGTH));
  expect(readFileSync(path, "utf8").split("\n").length).toBe(HISTORY_LENGTH + 1);
});

test("a file that cannot be used is no error", () => {
  expect(readHistory(join(folder, "none"))).toEqual([]);
  appendHistory(folder, "line");
});
