/**
 * The files of a web page, from memory: a path that is not among them does not exist, whatever it looks like, so no
 * request can reach the file system.
 *
 * Files under assets/ have a hash of their content in their name and may be kept for ever; all others are asked for
 * again each time and answered with 304 when they have not changed.
 *
 * Flow: folder → platform/node (PageFiles) → createPage → Response.
 */
import { hex } from "../shared/hex.ts";

/** Files by path without a leading slash: `index.html`, `assets/index-3f2a.js`. */
export type PageFiles = ReadonlyMap<string, Uint8Array>;

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  map: "application/json",
  webmanifest: "application/manifest+json",
  svg: "image/svg+xml",
  png: "image/png",
  jpg: "image/jpeg",
  webp: "image/webp",
  ico: "image/x-icon",
  woff2: "font/woff2",
  wasm: "application/wasm",
  txt: "text/plain; charset=utf-8",
  md: "text/plain; charset=utf-8",
};

/**
 * Scripts only from the page's own files; WebAssembly, workers from blobs and connections to model hubs, which the
 * engine in the page needs; nothing may frame it.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const pageHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  // Both make the page "cross-origin isolated": only then may the engine in it share memory between threads.
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
};

interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers GET and HEAD for the page's files; undefined for any other path. */
export function createPage(files: PageFiles): (request: Request) => Promise<Response | undefined> {
  const known = new Map<string, Promise<PageFile>>();
  return async (request) => {
    const { pathname } = new URL(request.url);
    const path = pathname === "/" ? "index.html" : decoded(pathname.slice(1));
    const bytes = path === undefined ? undefined : files.get(path);
    if (path === undefined || !bytes) return undefined;
    const file = known.get(path) ?? describe(path, bytes);
    known.set(path, file);
    const { headers, bytes: content } = await file;
    if (request.headers.get("if-none-match") === headers.etag)
      return new Response(null, { status: 304, headers });
    const part = request.method === "GET" ? partOf(request, content.byteLength) : undefined;
    if (part) return partResponse(content, part, headers);
    return new Response(request.method === "HEAD" ? null : content, {
      headers: { ...headers, "accept-ranges": "bytes", "content-length": String(content.byteLength) },
    });
  };
}

/** From the first byte to the last, both included. */
interface Part {
  readonly first: number;
  readonly last: number;
}

/** One range that is asked for, so that a model beside the page is downloaded in chunks. Others are given the whole. */
function partOf(request: Request, byteLength: number): Part | undefined {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(request.headers.get("range") ?? "");
  if (!match) return undefined;
  const last = match[2] === "" ? byteLength - 1 : Math.min(byteLength - 1, Number(match[2]));
  return { first: Number(match[1]), last };
}

function partResponse(
  content: Uint8Array<ArrayBuffer>,
  { first, last }: Part,
  headers: Readonly<Record<string, string>>,
): Response {
  if (first > last)
    return new Response(null, {
      status: 416,
      headers: { ...headers, "content-range": `bytes */${content.byteLength}` },
    });
  return new Response(content.subarray(first, last + 1), {
    status: 206,
    headers: {
      ...headers,
      "content-range": `bytes ${first}-${last}/${content.byteLength}`,
      "content-length": String(last + 1 - first),
    },
  });
}

async function describe(path: string, bytes: Uint8Array): Promise<PageFile> {
  const content = new Uint8Array(bytes);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const etag = `"${hex(hash.subarray(0, 16))}"`;
  return {
    bytes: content,
    headers: {
      ...pageHeaders,
      etag,
      "content-type": types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream",
      "cache-control": path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    },
  };
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
