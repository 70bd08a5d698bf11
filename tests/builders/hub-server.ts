/**
 * A Hugging Face hub on this machine: lists of files in pages, small files by itself, large ones by a redirect to a
 * second server, which must never see the token. Both can misbehave.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How one request for a file's bytes goes wrong. */
export interface Mishap {
  /** Sends this many bytes and cuts the connection. */
  readonly cutAfter?: number;
  /** Sends this many bytes and then nothing. */
  readonly stallAfter?: number;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly ignoreRange?: boolean;
  /** Sends other bytes of the same length. */
  readonly corrupt?: boolean;
  /** Answers this instead, with status 200. */
  readonly text?: string;
}

export interface SeenRequest {
  readonly server: "hub" | "cdn";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  sentBytes: number;
}

export interface HubServer {
  readonly endpoint: string;
  readonly commit: string;
  readonly seen: SeenRequest[];
  /** Requests for files' bytes. */
  fileRequests(): SeenRequest[];
  /** What happens to the next requests for bytes, and to API requests; then all is well. */
  mishaps: Mishap[];
  apiMishaps: Mishap[];
  /** What the hub says of sizes; for a lie. */
  statedSize: number | undefined;
  close(): Promise<void>;
}

/** Serves `user/repo`. Files whose name ends in gguf or safetensors are stored large. */
export async function serveHub(
  files: Readonly<Record<string, Uint8Array>>,
  options: { token?: string } = {},
): Promise<HubServer> {
  const commit = "c0ffee".padEnd(40, "0");
  const state: Pick<HubServer, "seen" | "mishaps" | "apiMishaps" | "statedSize"> = {
    seen: [],
    mishaps: [],
    apiMishaps: [],
    statedSize: undefined,
  };
  const isLarge = (path: string): boolean => /\.(gguf|safetensors)$/.test(path);
  const see = (server: "hub" | "cdn", request: IncomingMessage): SeenRequest => {
    const { range, authorization } = request.headers;
    const seen = { server, path: request.url ?? "", range, authorization, sentBytes: 0 };
    state.seen.push(seen);
    return seen;
  };

  const cdn = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "", "http://cdn").pathname.slice(1));
    sendFile(see("cdn", request), response, files[path]!, state.mishaps.shift() ?? {});
  });
  const cdnOrigin = await listen(cdn);

  const hub = createServer((request, response) => {
    const seen = see("hub", request);
    const url = new URL(request.url ?? "", endpoint);
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`)
      return void response.writeHead(401).end();
    if (url.pathname.startsWith("/api/")) {
      const mishap = state.apiMishaps.shift();
      if (mishap?.status !== undefined) return void response.writeHead(mishap.status, mishap.headers).end();
      if (mishap?.text !== undefined) return void response.end(mishap.text);
    }
    const [, revision] = /^\/api\/models\/user\/repo\/revision\/([^/]+)$/.exec(url.pathname) ?? [];
    if (revision !== undefined) {
      const known = ["main", "refs/pr/1", commit].includes(decodeURIComponent(revision));
      if (!known) return void response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end();
      return json(response, {
        _id: "1",
        id: "user/repo",
        sha: commit,
        lastModified: "2024-01-01T00:00:00.000Z",
      });
    }
    if (url.pathname === `/api/models/user/repo/tree/${commit}`) {
      const page = Number(url.searchParams.get("page") ?? 0);
      const entries = Object.entries(files).slice(page * 2, page * 2 + 2);
      if (page * 2 + 2 < Object.keys(files).length) {
        url.searchParams.set("page", String(page + 1));
        response.setHeader("link", `<${url}>; rel="next"`);
      }
      return json(
        response,
        entries.map(([path, bytes]) => treeEntry(path, bytes, isLarge(path), state.statedSize)),
      );
    }
    const prefix = `/user/repo/resolve/${commit}/`;
    const path = decodeURIComponent(url.pathname.slice(prefix.length));
    const bytes = url.pathname.startsWith(prefix) ? files[path] : undefined;
    if (!bytes) return void response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
    if (isLarge(path)) {
      const location = `${cdnOrigin}/${encodeURIComponent(path)}?signature=secret`;
      return void response.writeHead(302, { location }).end("moved");
    }
    return sendFile(seen, response, bytes, state.mishaps.shift() ?? {});
  });
  const endpoint = await listen(hub);

  return Object.assign(state, {
    endpoint,
    commit,
    fileRequests: () => state.seen.filter((seen) => seen.server === "cdn" || seen.path.includes("/resolve/")),
    async close() {
      for (const server of [hub, cdn]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  });
}

/** Starts a server on a free port. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Sends a file or the range of it that was asked for, as well as the mishap allows. */
export function sendFile(
  seen: SeenRequest,
  response: ServerResponse,
  file: Uint8Array,
  mishap: Mishap,
): void {
  if (mishap.status !== undefined) return void response.writeHead(mishap.status, mishap.headers).end();
  const bytes = mishap.corrupt ? file.map((byte) => byte ^ 1) : file;
  const [, from, to] = (!mishap.ignoreRange && /^bytes=(\d+)-(\d*)$/.exec(seen.range ?? "")) || [];
  const first = Number(from ?? 0);
  const last = to ? Math.min(Number(to), bytes.length - 1) : bytes.length - 1;
  if (from !== undefined && first >= bytes.length)
    return void response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
  const body = bytes.subarray(first, last + 1);
  const headers = { "content-length": body.length, etag: `"${sha256(file)}"`, ...mishap.headers };
  if (from === undefined) response.writeHead(200, headers);
  else response.writeHead(206, { "content-range": `bytes ${first}-${last}/${bytes.length}`, ...headers });

  const limit = mishap.cutAfter ?? mishap.stallAfter;
  seen.sentBytes = Math.min(limit ?? body.length, body.length);
  if (limit === undefined) return void response.end(body);
  response.flushHeaders();
  response.write(body.subarray(0, limit), () => {
    // Later, so that what was sent is not lost with the connection.
    if (mishap.cutAfter !== undefined) setTimeout(() => response.destroy(), 30);
  });
}

function treeEntry(
  path: string,
  bytes: Uint8Array,
  isLarge: boolean,
  statedSize: number | undefined,
): object {
  const size = statedSize ?? bytes.length;
  const entry = { type: "file", path, size, oid: gitHash(bytes) };
  return isLarge ? { ...entry, lfs: { oid: sha256(bytes), size, pointerSize: 130 } } : entry;
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Name of a blob in git. */
export function gitHash(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
