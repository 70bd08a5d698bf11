/**
 * Decides whether a request may come in at all, before anything of it is read.
 *
 *   Host      an IP address, localhost, or a name that was allowed. A page of another site that points its own name at
 *             this machine (DNS rebinding) sends that name here and is refused.
 *   Origin    none (no browser), the server's own, or one that was allowed. Others are refused, not only left without
 *             CORS headers, since a browser would send them all the same.
 *   key       where keys are set, one of them as a bearer token; compared in constant time. /health and the page's
 *             files need none.
 *
 * Flow: Request → createGuard → handlers.
 */
import { RequestError } from "./errors.ts";

export interface GuardOptions {
  /** Keys of which a request must bring one; none: all may come in. */
  readonly apiKeys?: readonly string[];
  /** Host names, without port, that the server answers to besides localhost and IP addresses; "*" for all. */
  readonly allowedHosts?: readonly string[];
  /** Origins of pages that may use the server besides its own, such as `https://example.org`; "*" for all. */
  readonly allowedOrigins?: readonly string[];
}

export interface Guard {
  /** @throws {RequestError} 401 or 403. */
  check(request: Request, needsKey: boolean): Promise<void>;
  /** The answer to a browser's question whether it may send a request; undefined for any other request. */
  preflight(request: Request): Response | undefined;
  /** What an allowed origin has to find in a response. */
  corsHeaders(request: Request): Readonly<Record<string, string>>;
}

export function createGuard(options: GuardOptions): Guard {
  // People copy them from an address bar: with a port, or with a slash at the end.
  const hosts = new Set(options.allowedHosts?.map((host) => host.replace(/:\d*$/, "").toLowerCase()));
  const origins = new Set(options.allowedOrigins?.map((origin) => origin.replace(/\/$/, "").toLowerCase()));
  const keys = Promise.all((options.apiKeys ?? []).map(digest));

  const isForeignAllowed = (origin: string) => origins.has("*") || origins.has(origin.toLowerCase());
  return {
    async check(request, needsKey) {
      checkHost(request, hosts);
      const origin = request.headers.get("origin");
      if (origin !== null && !isOwnOrigin(request, origin) && !isForeignAllowed(origin))
        throw refusal(`pages of ${origin} may not use this server; start it with --allow-origin ${origin}`);
      if (origin === null && isCrossSiteRead(request))
        throw refusal("pages of other sites may not use this server");
      const digests = await keys;
      if (needsKey && digests.length > 0) await checkKey(request, digests);
    },
    preflight(request) {
      const origin = request.headers.get("origin");
      if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method") || !origin)
        return undefined;
      checkHost(request, hosts);
      if (!isOwnOrigin(request, origin) && !isForeignAllowed(origin))
        throw refusal(`pages of ${origin} may not use this server`);
      return new Response(null, {
        status: 204,
        headers: {
          ...allowOrigin(origin),
          "access-control-allow-methods": "GET, HEAD, POST, DELETE",
          "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "",
          "access-control-max-age": "600",
        },
      });
    },
    corsHeaders(request) {
      const origin = request.headers.get("origin");
      if (origin === null || isOwnOrigin(request, origin) || !isForeignAllowed(origin)) return {};
      return { ...allowOrigin(origin), "access-control-expose-headers": "retry-after, x-request-id" };
    },
  };
}

function allowOrigin(origin: string): Record<string, string> {
  return { "access-control-allow-origin": origin, vary: "Origin" };
}

function refusal(message: string): RequestError {
  return new RequestError(403, message, { type: "permission_error", code: "forbidden" });
}

function checkHost(request: Request, allowed: ReadonlySet<string>): void {
  // A Request made in the program has no Host header; its address says the same.
  const host = request.headers.get("host") ?? new URL(request.url).host;
  const name = host.replace(/:\d*$/, "").toLowerCase();
  const isLocal = name === "localhost" || name.endsWith(".localhost") || isAddress(name);
  if (!isLocal && !allowed.has("*") && !allowed.has(name))
    throw refusal(
      `the server does not answer to the name ${JSON.stringify(name)}; start it with --allow-host ${name}`,
    );
}

/** No name can be rebound to an address that a client wrote down itself. */
function isAddress(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || /^\[[0-9a-f:.]+\]$/.test(host);
}

function isOwnOrigin(request: Request, origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  return new URL(origin).host === (request.headers.get("host") ?? new URL(request.url).host);
}

/** An image, script or the like of another site. Opening the page by a link is none. */
function isCrossSiteRead(request: Request): boolean {
  return (
    request.headers.get("sec-fetch-site") === "cross-site" &&
    request.headers.get("sec-fetch-mode") !== "navigate"
  );
}

async function checkKey(request: Request, digests: readonly Uint8Array[]): Promise<void> {
  const given =
    /^bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ??
    request.headers.get("x-api-key");
  const hash = await digest(given ?? "");
  let matched = 0;
  for (const key of digests) matched |= equalBytes(hash, key);
  if (given === null || matched === 0)
    throw new RequestError(
      401,
      given === null
        ? "the server wants an API key: send Authorization: Bearer KEY"
        : "the API key is not valid here",
      { type: "authentication_error", code: "invalid_api_key" },
    );
}

/** 1 if equal. Takes the same time wherever the bytes differ; hashes make the lengths equal as well. */
function equalBytes(a: Uint8Array, b: Uint8Array): number {
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a[index] ^ b[index];
  return difference === 0 ? 1 : 0;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
