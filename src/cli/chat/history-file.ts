/**
 * The lines typed in earlier chats, one a line, oldest first: `$XDG_STATE_HOME/cria/history`, else `~/.cria_history`.
 *
 * Lines are appended as they are typed, so chats that run side by side keep each other's. A history that cannot be
 * read or written is no reason not to chat.
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Lines that are kept. */
export const HISTORY_LENGTH = 1000;

export function historyPath(environment: NodeJS.ProcessEnv = process.env): string {
  const state = environment.XDG_STATE_HOME;
  return state ? join(state, "cria", "history") : join(homedir(), ".cria_history");
}

/** Earlier lines, newest first, as readline wants them. */
export function readHistory(path: string): string[] {
  let lines: string[];
  try {
    lines = readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
  const kept = lines.slice(-HISTORY_LENGTH);
  if (lines.length > 2 * HISTORY_LENGTH)
    attempt(() => writeFileSync(path, `${kept.join("\n")}\n`, { mode: 0o600 }));
  return kept.reverse();
}

/** Adds a line. Only the user can read the file. */
export function appendHistory(path: string, line: string): void {
  if (line.trim() === "") return;
  attempt(() => {
    mkdirSync(dirname(path), { recursive: true });
    appendFileSync(path, `${line}\n`, { mode: 0o600 });
  });
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // The chat goes on without.
  }
}
