/**
 * One HTTP exchange, and its repetition when the failure may pass.
 *
 * A failure may pass when the connection broke, nothing came for a while, or the server answered 429 or 5xx: these are
 * `TemporaryFailure`s, and `retry` runs the work again after base · 2ⁿ milliseconds, or when Retry-After says.
 *
 * Flow: url-source.ts and the hub's download → exchange → fetch. Source: RFC 9110.
 */
import { CriaError } from "../shared/errors.ts";

/** The part of `fetch` that is used, so that a caller can put its own rules (tokens, redirects) in between. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How requests are made. */
export interface HttpOptions {
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal | undefined;
  /** A connection on which nothing came for this long is given up. Default 30 000. */
  readonly stallMs?: number | undefined;
  /** Attempts after the first. Default 3. */
  readonly retries?: number | undefined;
  /** The wait before the first repetition; it doubles each time. Default 500. */
  readonly retryDelayMs?: number | undefined;
}

/** A network failure that another attempt may cure. */
export class TemporaryFailure extends CriaError {
  /** How long the server wants us to wait. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number, options?: ErrorOptions) {
    super("network", message, options);
    this.waitMs = waitMs;
  }
}

const longestWaitMs = 60_000;

/**
 * Sends a request and hands the answer, with its body in pieces, to `use`. The connection is given up when `use` ends.
 *
 * @throws {TemporaryFailure} when the connection fails or stalls, or the server answers 429 or 5xx.
 * @throws {CriaError} code "aborted"
 */
export async function exchange<Result>(
  url: string,
  init: RequestInit,
  options: HttpOptions,
  use: (response: Response, pieces: AsyncIterable<Uint8Array>) => Promise<Result>,
): Promise<Result> {
  const { signal, stallMs = 30_000 } = options;
  const connection = new AbortController();
  let stalled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const somethingCame = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      stalled = true;
      connection.abort();
    }, stallMs);
  };
  const abort = (): void => connection.abort();
  /** Awaits the network and puts what goes wrong into words. */
  const guarded = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (cause) {
      if (signal?.aborted)
        throw new CriaError("aborted", `${withoutQuery(url)}: aborted`, { cause: signal.reason });
      if (cause instanceof CriaError) throw cause;
      const what = stalled ? `nothing came for ${stallMs / 1000} s` : reasonOf(cause);
      throw new TemporaryFailure(`${withoutQuery(url)}: the connection failed: ${what}`, undefined, {
        cause,
      });
    }
  };

  async function* pieces(response: Response): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    for (;;) {
      somethingCame();
      const { done, value } = await guarded(reader.read());
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  }

  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    somethingCame();
    const send: Fetch = options.fetch ?? ((address, request) => fetch(address, request));
    const response = await guarded(send(url, { ...init, signal: connection.signal }));
    clearTimeout(timer);
    if (response.status === 429 || response.status >= 500)
      throw new TemporaryFailure(
        `${withoutQuery(url)}: the server answered ${response.status}${
          response.status === 429 ? ": too many requests; try again later" : ""
        }`,
        retryAfter(response),
      );
    return await use(response, pieces(response));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    connection.abort();
  }
}

/**
 * Runs `work` until it succeeds, up to `retries` times more after a TemporaryFailure. Calling `advanced` says that
 * ground was gained, so that counting begins anew.
 *
 * @throws {CriaError} the last failure, or at once any that is not temporary.
 */
export async function retry<Result>(
  work: (advanced: () => void) => Promise<Result>,
  options: HttpOptions,
): Promise<Result> {
  const { retries = 3, retryDelayMs = 500 } = options;
  let failures = 0;
  for (;;) {
    try {
      return await work(() => {
        failures = 0;
      });
    } catch (error) {
      if (!(error instanceof TemporaryFailure)) throw error;
      if (++failures > retries) throw error;
      const wait = error.waitMs ?? retryDelayMs * 2 ** (failures - 1);
      await pause(Math.min(wait, longestWaitMs), options.signal);
    }
  }
}

/** Waits. @throws {CriaError} code "aborted" */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new CriaError("aborted", "the operation was aborted", { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** `Content-Range: bytes first-last/total`, or undefined when it is missing or says something else. */
export function contentRange(response: Response): { first: number; last: number; total: number } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(response.headers.get("content-range") ?? "");
  if (!match) return undefined;
  const [first, last, total] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return first <= last && last < total ? { first, last, total } : undefined;
}

/** Whether an address holds a user name or a password, which `fetch` refuses and no message may show. */
export function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

/** The address without what may be a signature: queries of storage hosts hold secrets. */
export function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, "");
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? seconds * 1000 : undefined;
}

/** fetch says "fetch failed" and hides the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message ? error.cause.message : error.message;
}
