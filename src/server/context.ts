/**
 * What all handlers share: the model under its names, limits, metrics, and the end of the server.
 *
 * Flow: createServer (options) → ServerContext → handlers.
 */
import type { Model } from "../generate/model.ts";
import type { Endpoint } from "./endpoint.ts";
import { failureOf, RequestError } from "./http/errors.ts";
import type { GuardOptions } from "./http/guard.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { PageFiles } from "./page.ts";

/** What a list of models shows besides a name, where it is known. */
export interface ModelDetails {
  readonly byteLength?: number;
  readonly parameterCount?: number;
  /** `Q4_0`, `F16` … */
  readonly quantization?: string;
  /** `gguf`, `safetensors` … */
  readonly fileFormat?: string;
  readonly modifiedAt?: Date;
  /** The Jinja chat template. */
  readonly chatTemplate?: string;
}

export interface ServerOptions extends GuardOptions {
  /** The model, or the promise of one: until it is loaded requests get 503. The server does not dispose it. */
  readonly model: Model | Promise<Model>;
  /** The name that lists show. Default: the model's own. */
  readonly name?: string;
  /** Further names that requests may use, besides the model's own and "default". */
  readonly aliases?: readonly string[];
  readonly details?: ModelDetails;
  /** Further addresses, such as those of `pageEndpoints`. */
  readonly endpoints?: readonly Endpoint[];
  /** A web page to serve at `/`. */
  readonly page?: PageFiles;
  /** Longest request in bytes. Default 4 MiB. */
  readonly bodyBytes?: number;
  /** Deepest nesting of a request's JSON. Default 64. */
  readonly jsonDepth?: number;
  /** Answers that one request may have made at the same time; the rest of a batch follows. Default 8. */
  readonly parallel?: number;
  /** Answers that are made or wait; further requests get 429. Default 256. */
  readonly queueLimit?: number;
  /** The longest that one request may take, its reading by the client included. Default 600. */
  readonly timeoutSeconds?: number;
  /** Cria's version, which `system_fingerprint` and /openapi.json name. Default "0". */
  readonly version?: string;
  /** Told of errors that are the server's own fault. */
  readonly onError?: (error: unknown) => void;
}

export interface ServerContext {
  readonly options: ServerOptions;
  readonly limits: { readonly bodyBytes: number; readonly jsonDepth: number };
  readonly parallel: number;
  readonly queueLimit: number;
  readonly timeoutSeconds: number;
  /** Unix time in seconds at which the server started: lists give it as the model's date. */
  readonly created: number;
  /** Changes when answers to equal requests might. */
  readonly fingerprint: string;
  readonly metrics: Metrics;
  /** Passes on an error that is the server's own fault; what clients cause, their leaving included, is none. */
  report(error: unknown): void;
  /** Fires when the server ends. */
  readonly closing: AbortSignal;
  readonly status: "loading" | "ready" | "failed";
  /** @throws {RequestError} 503 while the model is loading, or when that failed. */
  model(): Model;
  /** The name under which the model is shown. */
  name(): string;
  /** SHA-256 of the model's files, read once. */
  hash(): Promise<string>;
  /**
   * The model for a request that names one, or names none.
   *
   * @throws {RequestError} 404 for another name, 503 while loading.
   */
  modelFor(name: string | undefined): Model;
}

const DEFAULT_LIMITS = {
  bodyBytes: 4 * 2 ** 20,
  jsonDepth: 64,
  parallel: 8,
  queueLimit: 256,
  timeoutSeconds: 600,
} as const;

export function createContext(options: ServerOptions, closing: AbortSignal): ServerContext {
  const { version = "0" } = options;
  let loaded: Model | undefined = options.model instanceof Promise ? undefined : options.model;
  let failure: unknown;
  if (options.model instanceof Promise)
    options.model.then(
      (model) => {
        loaded = model;
      },
      (error: unknown) => {
        failure = error;
      },
    );

  const model = () => {
    if (loaded) return loaded;
    if (failure === undefined)
      throw new RequestError(503, "Loading model", { type: "unavailable_error", retryAfter: 2 });
    throw new RequestError(503, "the model could not be loaded", { type: "unavailable_error" });
  };
  const name = () => options.name ?? loaded?.name ?? "default";
  let metrics: Metrics | undefined;
  let hash: Promise<string> | undefined;
  return {
    options,
    limits: {
      bodyBytes: options.bodyBytes ?? DEFAULT_LIMITS.bodyBytes,
      jsonDepth: options.jsonDepth ?? DEFAULT_LIMITS.jsonDepth,
    },
    parallel: options.parallel ?? DEFAULT_LIMITS.parallel,
    queueLimit: options.queueLimit ?? DEFAULT_LIMITS.queueLimit,
    timeoutSeconds: options.timeoutSeconds ?? DEFAULT_LIMITS.timeoutSeconds,
    created: Math.floor(Date.now() / 1000),
    fingerprint: `cria-${version}`,
    get metrics() {
      metrics ??= createMetrics(name());
      return metrics;
    },
    report(error) {
      // A RequestError was meant: that the model is being loaded is no fault.
      if (!(error instanceof RequestError) && failureOf(error).status >= 500) options.onError?.(error);
    },
    closing,
    get status() {
      return loaded ? "ready" : failure === undefined ? "loading" : "failed";
    },
    model,
    name,
    hash() {
      hash ??= model().hash();
      return hash;
    },
    modelFor(asked) {
      const known = model();
      const names = new Set([name(), known.name, "default", ...(options.aliases ?? [])]);
      // Ollama's clients add the tag of the newest version.
      const plain = asked?.replace(/:latest$/, "");
      if (asked === undefined || names.has(asked) || names.has(plain ?? "")) return known;
      throw new RequestError(404, `the model ${JSON.stringify(asked)} is not served here; ${name()} is`, {
        code: "model_not_found",
        param: "model",
      });
    },
  };
}
