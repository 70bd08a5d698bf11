/**
 * Asks llama.cpp, the outside oracle, about a GGUF file: its tokens, greedy texts, likelihoods and logits.
 *
 * Flow: a test → request line → bench/oracle/llama-cpp.ts in a child process → response line → the test.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { OracleRequest, OracleResponse, OracleResults } from "../../bench/oracle/protocol.ts";
import { readLines } from "../../bench/oracle/read-lines.ts";

const bench = join(import.meta.dirname, "..", "..", "bench");

export interface LlamaCppOptions {
  /** For files without weights: only tokenize and detokenize will answer. Default false. */
  readonly vocabularyOnly?: boolean;
  /** The most tokens of one request. Default 1024. */
  readonly contextSize?: number;
  /** A GGUF adapter that every request is answered with. */
  readonly adapter?: string;
}

/** One loaded model. Requests are answered in order. */
export interface LlamaCpp extends AsyncDisposable {
  request<Request extends OracleRequest>(request: Request): Promise<OracleResults[Request["method"]]>;
  /** Ends the child process. */
  close(): Promise<void>;
}

export function llamaCppIsInstalled(): boolean {
  return existsSync(join(bench, "node_modules", "node-llama-cpp"));
}

/** Loads a model into llama.cpp, or returns undefined (with a printed reason) where llama.cpp is not installed. */
export async function startLlamaCpp(
  path: string,
  options: LlamaCppOptions = {},
): Promise<LlamaCpp | undefined> {
  if (!llamaCppIsInstalled()) {
    console.warn("skipped: llama.cpp is not installed; run `npm ci --prefix bench`");
    return undefined;
  }
  const parameters = [
    join(bench, "oracle", "llama-cpp.ts"),
    path,
    "--context",
    String(options.contextSize ?? 1024),
  ];
  if (options.vocabularyOnly) parameters.push("--vocabulary-only");
  if (options.adapter !== undefined) parameters.push("--lora", options.adapter);
  const oracle = new Connection(spawn(process.execPath, parameters));
  try {
    await oracle.next();
  } catch (error) {
    await oracle.close();
    throw error;
  }
  return oracle;
}

type Waiting = { resolve(value: unknown): void; reject(error: Error): void };

class Connection implements LlamaCpp {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<void>;
  #log = "";
  #failure: Error | undefined;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-2000);
    });
    const answering = this.#answer();
    // Writing to a process that has gone fails here; "close" says why.
    child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      const end = (reason: string) => {
        this.#failure ??= new Error(`llama.cpp ${reason}\n${this.#log}`);
        for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
        resolve();
      };
      child.on("error", (error) => end(`did not start: ${error.message}`));
      child.on("close", (code, signal) =>
        answering.finally(() => end(`ended with ${signal ?? `code ${code}`}`)),
      );
    });
  }

  async #answer(): Promise<void> {
    for await (const line of readLines(this.#child.stdout)) {
      const response = JSON.parse(line) as OracleResponse;
      const waiting = this.#waiting.shift();
      if ("error" in response) waiting?.reject(new Error(`llama.cpp: ${response.error}\n${this.#log}`));
      else waiting?.resolve(response.result);
    }
  }

  /** The next response that is not yet waited for. */
  next(): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  request<Request extends OracleRequest>(request: Request): Promise<OracleResults[Request["method"]]> {
    const response = this.next();
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return response as Promise<OracleResults[Request["method"]]>;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.#ended;
    clearTimeout(patience);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
