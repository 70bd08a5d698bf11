/**
 * Keeps the page's own files, so that it opens without a network or a server; a model that was downloaded is in OPFS.
 *
 *   /assets/…             never change under their name: from the cache
 *   all others            from the network, or from the cache where that fails
 *   what is not listed    is none of our business: requests to a server's API, model hubs
 *
 * A static host that cannot set headers gets them here: with these two the page may share memory between threads.
 */

/** Paths of the built page, and a name that changes with their content; vite.config.ts writes both. */
declare const __PAGE_FILES__: readonly string[];
declare const __PAGE_VERSION__: string;

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
/** The part of a service worker's global scope that is used here: the types of the page leave it out. */
interface WorkerScope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}
const scope = self as unknown as WorkerScope;

const CACHE = `cria-page-${__PAGE_VERSION__}`;
const files = new Set(__PAGE_FILES__.map((path) => addressOf(path)));

scope.addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(dropOldCaches().then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const address = addressOf(url.origin + url.pathname);
  if (request.method !== "GET" || !files.has(address)) return;
  event.respondWith(
    url.pathname.includes("/assets/") ? fromCache(address, request) : fromNetwork(address, request),
  );
});

/** The page may be opened as a folder. */
function addressOf(path: string): string {
  const { href } = new URL(path, scope.registration.scope);
  return href.endsWith("/") ? `${href}index.html` : href;
}

async function fill(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([...files].map((address) => new Request(address, { cache: "no-cache" })));
}

async function dropOldCaches(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("cria-page-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function fromCache(address: string, request: Request): Promise<Response> {
  const kept = await (await caches.open(CACHE)).match(address);
  return kept ? isolated(kept) : fetch(request);
}

async function fromNetwork(address: string, request: Request): Promise<Response> {
  try {
    return isolated(await fetch(request));
  } catch (error) {
    const kept = await (await caches.open(CACHE)).match(address);
    if (kept) return isolated(kept);
    throw error;
  }
}

function isolated(response: Response): Response {
  if (response.type === "opaque" || response.status === 0 || response.status === 304) return response;
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
