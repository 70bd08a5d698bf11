/** An engine's process, as the one that measures sees it. */
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "../oracle/read-lines.ts";
import type { EngineAnswer, EngineReady, EngineStart, GenerateQuestion } from "./protocol.ts";

export type EngineName = "cria" | "llama.cpp";

const PROGRAMS: Readonly<Record<EngineName, string>> = {
  cria: new URL("./cria.ts", import.meta.url).pathname,
  "llama.cpp": new URL("./llama-cpp.ts", import.meta.url).pathname,
};

export interface EngineProcess extends AsyncDisposable {
  readonly name: EngineName;
  readonly ready: EngineReady;
  generate(question: GenerateQuestion): Promise<EngineAnswer>;
}

/** Either engine's modules are kept compiled between runs, as the command `cria` keeps them. */
const COMPILED = join(tmpdir(), "cria-bench", "compiled");

/** Starts the process and resolves when the model is loaded. */
export async function startEngine(name: EngineName, start: EngineStart): Promise<EngineProcess> {
  const child = spawn(process.execPath, [PROGRAMS[name], JSON.stringify(start)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
  });
  const ended = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => reject(new Error(`${name} ended with ${signal ?? code}`)));
  });
  ended.catch(() => {});
  const lines = readLines(child.stdout)[Symbol.asyncIterator]();
  const next = async <Message>(): Promise<Message> => {
    const { value, done } = await Promise.race([lines.next(), ended]);
    if (done) throw new Error(`${name} ended without an answer`);
    return JSON.parse(value) as Message;
  };
  const ready = await next<EngineReady>();
  return {
    name,
    ready,
    generate(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return next<EngineAnswer>();
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited(child);
    },
  };
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}
