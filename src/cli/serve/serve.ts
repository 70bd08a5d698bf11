/**
 * Runs the server of `cria serve` until a signal ends it.
 *
 * It listens at once and answers 503 until the model is loaded, so that whoever started it can wait for /health. The
 * first Ctrl-C or SIGTERM lets answers end, for a time; the second cuts them.
 *
 * Flow: flags → loadNamed (model), readPage, storeOf → createServer → listen.
 */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PageStore } from "../../feedback/page-store.ts";
import { type Listener, listen } from "../../platform/node/listen.ts";
import { readPage } from "../../platform/node/page-folder.ts";
import { createServer } from "../../server/create-server.ts";
import type { PageFiles } from "../../server/page.ts";
import { pageEndpoints } from "../../server/page-data.ts";
import { defined } from "../../shared/defined.ts";
import { readTextFile } from "../input.ts";
import { loadNamed } from "../load-named.ts";
import type { RunFlags } from "../options.ts";
import { errorColors, notice, writeLine } from "../terminal.ts";
import { packageVersion } from "../version.ts";

export interface ServeFlags extends RunFlags {
  readonly port: number;
  readonly host: string;
  readonly apiKey?: readonly string[];
  readonly apiKeyFile?: string;
  readonly alias?: readonly string[];
  readonly parallel?: number;
  readonly queue?: number;
  readonly timeout?: number;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
  readonly page: string | boolean;
  readonly data?: string | boolean;
  readonly chatTemplate?: string;
  readonly chatTemplateFile?: string;
  readonly grace: number;
}

/** Each takes a context's memory. */
const DEFAULT_PARALLEL = 4;

export async function serve(flags: ServeFlags): Promise<void> {
  const template = flags.chatTemplateFile ? await readTextFile(flags.chatTemplateFile) : flags.chatTemplate;
  const apiKeys = await keysOf(flags);
  const page = await pageOf(flags.page);
  using store = page || typeof flags.data === "string" ? await storeOf(flags) : undefined;
  const loading = loadNamed({
    ...flags,
    ...defined({ chatTemplate: template }),
    sequences: flags.parallel ?? DEFAULT_PARALLEL,
  });
  // The failure is reported below; the server needs the promise as well.
  loading.catch(() => {});
  const fileName = flags.model === undefined ? undefined : basename(flags.model);
  const [alias, ...aliases] = flags.alias ?? [];
  // Names inside of files are written for people; the file's own is what they type.
  const name = alias ?? fileName?.replace(/\.(gguf|safetensors|pth|bin)$/i, "");
  using server = createServer({
    model: loading,
    ...defined({
      name,
      page,
      parallel: flags.parallel,
      queueLimit: flags.queue,
      timeoutSeconds: flags.timeout,
    }),
    aliases: [...aliases, ...(fileName === undefined ? [] : [fileName])],
    apiKeys,
    ...defined({ allowedHosts: flags.allowHost, allowedOrigins: flags.allowOrigin }),
    ...(store ? { endpoints: pageEndpoints(store) } : {}),
    details: await detailsOf(flags.model),
    version: packageVersion(),
    onError: (error) => notice(errorColors.red(error instanceof Error ? (error.stack ?? "") : String(error))),
  });
  const listener = await listen(server, { port: flags.port, host: flags.host });
  let isLoaded = false;
  const ended = untilInterrupted(listener, flags.grace, () => isLoaded);
  try {
    using model = await loading;
    isLoaded = true;
    explain(listener, name ?? model.name, apiKeys.length > 0, page !== undefined);
    if (!page && flags.page !== false)
      notice(errorColors.yellow("  The chat page is not built yet: npm run build && npm run build:page"));
    if (!isLoopback(flags.host) && apiKeys.length === 0)
      notice(errorColors.yellow("Everyone on this network can use the server: set --api-key."));
    await ended;
  } catch (error) {
    await listener.close(0);
    throw error;
  }
}

/** Resolves when a signal has come and the server has ended. */
function untilInterrupted(listener: Listener, graceSeconds: number, isLoaded: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      // Nothing is being answered yet, and a download or the reading of a large model would go on for long.
      if (!isLoaded()) process.exit(signal === "SIGINT" ? 130 : 143);
      if (!stopping) notice(errorColors.dim("Stopping: answers may end; again to cut them."));
      void listener.close(stopping ? 0 : graceSeconds * 1000).then(resolve);
      stopping = true;
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}

function explain(listener: Listener, model: string, hasKey: boolean, hasPage: boolean): void {
  writeLine(`${listener.url}`);
  const key = hasKey ? ' -H "Authorization: Bearer $CRIA_API_KEY"' : "";
  notice(
    `Serving ${errorColors.bold(model)} at ${errorColors.cyan(listener.url)}${hasPage ? " (open it to chat)" : ""}`,
  );
  notice(errorColors.dim(`  OpenAI's API: ${listener.url}/v1    Ollama's API: OLLAMA_HOST=${listener.url}`));
  notice(
    errorColors.dim(
      `  curl ${listener.url}/v1/chat/completions${key} -d '{"messages": [{"role": "user", "content": "Hello!"}]}'`,
    ),
  );
  notice(errorColors.dim(`  ${listener.url}/openapi.json describes the rest. Ctrl-C stops the server.`));
}

async function keysOf({ apiKey = [], apiKeyFile }: ServeFlags): Promise<string[]> {
  const fromFile = apiKeyFile === undefined ? [] : (await readTextFile(apiKeyFile)).split(/\r?\n/);
  const { CRIA_API_KEY: fromEnvironment = "" } = process.env;
  return [...apiKey, ...fromFile, fromEnvironment].map((key) => key.trim()).filter((key) => key !== "");
}

/** The page that was asked for, or the chat page where it is built: it lies beside the compiled program. */
async function pageOf(asked: string | boolean): Promise<PageFiles | undefined> {
  if (asked === false) return undefined;
  if (typeof asked === "string") return readPage(asked);
  const places = ["../../page", "../../../dist/page"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const folder = places.find((place) => existsSync(place));
  return folder === undefined ? undefined : readPage(folder);
}

/**
 * Where the page's chats and ratings are kept. Without being told to, only where nobody but this machine's users come:
 * all who open the page see the same chats.
 */
async function storeOf({ data, host }: ServeFlags): Promise<PageStore | undefined> {
  if (data === false || (typeof data !== "string" && !isLoopback(host))) return undefined;
  const { openSqliteStore } = await import("../../platform/node/sqlite-store.ts");
  if (typeof data === "string") return openSqliteStore(data);
  try {
    return openSqliteStore(join(dataFolder(), "page.sqlite"));
  } catch (error) {
    // Nobody asked for this file: a home that cannot be written must not keep the model from being served.
    notice(errorColors.yellow(`${(error as Error).message}; the page keeps chats in the browser`));
    return undefined;
  }
}

/** By the XDG base directory specification. */
function dataFolder(): string {
  const { XDG_DATA_HOME: folder = "" } = process.env;
  return join(folder === "" ? join(homedir(), ".local", "share") : folder, "cria");
}

/** What a list of models shows of a local file. */
async function detailsOf(
  path: string | undefined,
): Promise<{ byteLength?: number; modifiedAt?: Date; fileFormat?: string }> {
  if (path === undefined) return {};
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return {};
  return {
    byteLength: found.size,
    modifiedAt: found.mtime,
    fileFormat: path.slice(path.lastIndexOf(".") + 1),
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
