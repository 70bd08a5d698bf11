/**
 * How the hub is reached and where its files are kept: options first, then the variables that all Hugging Face tools
 * read (HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_CACHE, HF_HOME), then their defaults.
 *
 * Flow: load, pull, list → hubSettings → api.ts, cache.ts.
 * Source: huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { hasCredentials } from "../../../files/http.ts";
import { CriaError } from "../../../shared/errors.ts";

/** How far a download is, over all files of the model. */
export interface DownloadProgress {
  /** The file that is coming now. */
  readonly file: string;
  /** Of the whole model, with what was there before. */
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

/** How a model's name becomes files on this machine. Everything has a default. */
export interface ResolveOptions {
  /** Use only what is in the cache. Default: whether HF_HUB_OFFLINE is set. */
  readonly offline?: boolean;
  /** Access token. Default: HF_TOKEN, or what `hf auth login` stored. */
  readonly token?: string;
  /** Address of the hub. Default: HF_ENDPOINT, or https://huggingface.co. */
  readonly endpoint?: string;
  /** Default: the cache that Hugging Face tools share. */
  readonly cacheFolder?: string;
  readonly signal?: AbortSignal;
  readonly onDownload?: (progress: DownloadProgress) => void;
  /** A connection on which nothing came for this long is given up and made anew. Default 30 000. */
  readonly stallMs?: number;
  /** How often to begin anew without having got further. Default 5. */
  readonly retries?: number;
  /** The wait before beginning anew; it doubles each time. Default 500. */
  readonly retryDelayMs?: number;
}

/** The options with their defaults filled in. */
export interface HubSettings {
  readonly offline: boolean;
  readonly token: string | undefined;
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly cacheFolder: string;
  readonly signal: AbortSignal | undefined;
  readonly stallMs: number;
  readonly retries: number;
  readonly retryDelayMs: number;
}

/** Fills in the defaults. @throws {CriaError} code "bad-input" */
export async function hubSettings(options: ResolveOptions): Promise<HubSettings> {
  const endpoint = (options.endpoint ?? variable("HF_ENDPOINT") ?? "https://huggingface.co").replace(
    /\/+$/,
    "",
  );
  if (!/^https?:\/\/./i.test(endpoint) || !URL.canParse(endpoint))
    throw new CriaError(
      "bad-input",
      `expected the hub's address (HF_ENDPOINT) as https://…, got "${endpoint}"`,
    );
  // The message must not show them.
  if (hasCredentials(endpoint))
    throw new CriaError(
      "bad-input",
      "the hub's address (HF_ENDPOINT) holds a user name or a password; expected an access token in HF_TOKEN",
    );
  const { signal, stallMs = 30_000, retries = 5, retryDelayMs = 500 } = options;
  return {
    offline: options.offline ?? isOn(variable("HF_HUB_OFFLINE")),
    token: await findToken(options.token),
    endpoint,
    cacheFolder: hubCacheFolder(options.cacheFolder),
    signal,
    stallMs,
    retries,
    retryDelayMs,
  };
}

/** The folder of the shared cache. */
export function hubCacheFolder(given: string | undefined): string {
  const stated = given ?? variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE");
  return stated === undefined ? join(hubHome(), "hub") : expandHome(stated);
}

function hubHome(): string {
  const home = variable("HF_HOME");
  if (home !== undefined) return expandHome(home);
  return join(expandHome(variable("XDG_CACHE_HOME") ?? join(homedir(), ".cache")), "huggingface");
}

async function findToken(given: string | undefined): Promise<string | undefined> {
  const stated = given ?? variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN");
  const file = expandHome(variable("HF_TOKEN_PATH") ?? join(hubHome(), "token"));
  const token = (stated ?? (await readFile(file, "utf8").catch(() => ""))).trim();
  if (token === "") return undefined;
  // The message must not show it.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new CriaError(
      "bad-input",
      "the access token (HF_TOKEN) holds a space or a character outside ASCII",
    );
  return token;
}

/** An environment variable; empty counts as not set. */
function variable(name: string): string | undefined {
  return process.env[name] || undefined;
}

function isOn(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? "");
}

function expandHome(path: string): string {
  return path.replace(/^~(?=$|[/\\])/, homedir());
}
