/** Text that comes from an option, a file or a pipe. */
import { readFile } from "node:fs/promises";
import { buffer as readStream } from "node:stream/consumers";
import type { Command } from "commander";
import { CriaError } from "../shared/errors.ts";
import { unescapeText } from "./escapes.ts";

export interface InputFlags {
  readonly prompt?: string;
  readonly file?: string;
  /** Read \n and its like in `prompt`. */
  readonly escape: boolean;
}

/** Declares -p, -f and --no-escape. */
export function addInputOptions(command: Command, what: string): Command {
  return command
    .option("-p, --prompt <text>", `${what}; \\n, \\t, \\xHH and their like are read as escapes`)
    .option(
      "-f, --file <path>",
      `read it from a file ("-": standard input); one line break at the end is dropped`,
    )
    .option("--no-escape", "take backslashes in -p as they are");
}

/** The text of -p, else of -f, else of a pipe. */
export async function inputText(command: Command, flags: InputFlags): Promise<string> {
  const text = await optionText(command, flags);
  if (text !== undefined) return text;
  if (process.stdin.isTTY)
    command.error('error: no text: give -p TEXT (-p "" for an empty one), -f FILE, or pipe it in', {
      exitCode: 2,
    });
  return readWhole("-");
}

/** The text of -p, else of -f; undefined when neither is given. */
export async function optionText(command: Command, flags: InputFlags): Promise<string | undefined> {
  const { prompt, file } = flags;
  if (prompt !== undefined && file !== undefined)
    command.error("error: -p and -f exclude each other", { exitCode: 2 });
  if (prompt !== undefined) return flags.escape ? unescapeText(prompt) : prompt;
  return file === undefined ? undefined : readWhole(file);
}

/** A file or pipe ends with a line break that nobody means, so one is dropped, as llama.cpp does. */
async function readWhole(path: string): Promise<string> {
  const text =
    path === "-" ? decoded("standard input", await readStream(process.stdin)) : await readTextFile(path);
  return text.replace(/\r?\n$/, "");
}

/** @throws {CriaError} "not-found" for a missing file, "bad-input" for one that is not UTF-8 text. */
export async function readTextFile(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new CriaError("not-found", code === "ENOENT" ? `${path}: no such file` : `${path}: ${message}`, {
      cause,
    });
  }
  return decoded(path, bytes);
}

function decoded(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CriaError("bad-input", `${path}: not UTF-8 text`, { cause });
  }
}
