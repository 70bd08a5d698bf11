/**
 * Asks the hub what a repository holds and where its files are.
 *
 * `@huggingface/hub` asks for the commit (modelInfo) and the list of files with their sizes and hashes (listFiles). It
 * lacks what a download of gigabytes needs, which is ours: resuming, checking, stall and retry, redirects that keep the
 * token on its host, errors that say what to do. All its requests go through our fetch, which adds the token itself:
 * the library refuses tokens that do not begin with "hf_".
 *
 * Flow: a repository's name → describeRepository → pull.ts; fileUrl + hubFetch → download.ts.
 * Source: huggingface.co/docs/hub/api.
 */

import { exchange, type Fetch, type HttpOptions, retry, withoutQuery } from "../../../files/http.ts";
import { isSafePath } from "../../../files/hub/name.ts";
import { CriaError } from "../../../shared/errors.ts";
import type { HubSettings } from "./options.ts";

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly byteLength: number;
  /** Its name among the cache's blobs: SHA-256 of the bytes (64 digits), or git's SHA-1 of the blob (40 digits). */
  readonly etag: string;
}

/** A repository at one commit. */
export interface HubRepository {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const longestAnswer = 64 * 1024 * 1024;
const mostFiles = 100_000;
/** Pages of a list hold about a thousand files. */
const mostAnswers = 1000;
const mostRedirects = 10;

/** The commit that a revision means now, and its files. @throws {CriaError} code "not-found", "network", "bad-file" */
export async function describeRepository(
  repo: string,
  revision: string,
  settings: HubSettings,
): Promise<HubRepository> {
  // Loaded only here: a model in a local file needs nothing of it.
  const { listFiles, modelInfo } = await import("@huggingface/hub");
  const hub = { hubUrl: settings.endpoint, fetch: jsonFetch(repo, revision, settings) };
  try {
    const { sha } = await modelInfo({ name: repo, revision, additionalFields: ["sha"], ...hub });
    if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha))
      throw badAnswer(repo, `expected a commit, got ${JSON.stringify(sha)}`);
    const files: HubFile[] = [];
    for await (const entry of listFiles({
      repo: { type: "model", name: repo },
      revision: sha,
      recursive: true,
      ...hub,
    })) {
      // A path that would leave the snapshot, or that some systems cannot store, is nobody's model.
      if (entry.type !== "file" || !isSafePath(String(entry.path))) continue;
      if (files.length >= mostFiles) throw badAnswer(repo, `more than ${mostFiles} files`);
      files.push(checkedFile(repo, String(entry.path), entry.lfs ?? { oid: entry.oid, size: entry.size }));
    }
    return { commit: sha, files };
  } catch (error) {
    if (error instanceof CriaError) throw error;
    // The library trusts the answer's shape: what is not JSON, or lacks a field, ends here.
    throw badAnswer(repo, error instanceof Error ? error.message : String(error), error);
  }
}

function checkedFile(repo: string, path: string, content: { oid: unknown; size: unknown }): HubFile {
  const { oid, size } = content;
  if (typeof oid !== "string" || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(oid))
    throw badAnswer(repo, `${path}: expected a hash, got ${JSON.stringify(oid)}`);
  if (!Number.isSafeInteger(size) || (size as number) < 0)
    throw badAnswer(repo, `${path}: expected a size, got ${JSON.stringify(size)}`);
  return { path, byteLength: size as number, etag: oid };
}

/** Where a file's bytes are; to be fetched with `hubFetch`. */
export function fileUrl(repo: string, commit: string, path: string, settings: HubSettings): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `${settings.endpoint}/${repo}/resolve/${commit}/${encoded}`;
}

/**
 * fetch that follows redirects by hand: the token goes to the hub's own host and nowhere else, and nothing that began
 * encrypted goes on in the clear.
 */
export function hubFetch(settings: HubSettings): Fetch {
  const home = new URL(settings.endpoint).origin;
  return async (address, init) => {
    let url = new URL(address);
    for (let step = 0; step <= mostRedirects; step++) {
      const headers = new Headers(init.headers);
      headers.set("user-agent", "cria");
      headers.delete("authorization");
      if (settings.token !== undefined && url.origin === home)
        headers.set("authorization", `Bearer ${settings.token}`);
      const response = await fetch(url, { ...init, headers, redirect: "manual" });
      const location = response.headers.get("location");
      if (response.status < 301 || response.status > 308 || location === null) return response;
      await response.body?.cancel();
      if (!URL.canParse(location, url.href))
        throw new CriaError("network", `${withoutQuery(url.href)}: redirects to "${location}", no address`);
      const next = new URL(location, url.href);
      if (!/^https?:$/.test(next.protocol) || (url.protocol === "https:" && next.protocol === "http:"))
        throw new CriaError(
          "network",
          `${withoutQuery(url.href)}: redirects to ${next.protocol}, not https:`,
        );
      url = next;
    }
    throw new CriaError("network", `${withoutQuery(address)}: more than ${mostRedirects} redirects`);
  };
}

/** How requests to the hub are made. */
export function hubHttp(settings: HubSettings): HttpOptions {
  return { ...settings, fetch: hubFetch(settings) };
}

/** What the library gets as its fetch: retries, errors in words, and an answer of bounded size. */
function jsonFetch(repo: string, revision: string, settings: HubSettings): typeof fetch {
  const http = hubHttp(settings);
  let answers = 0;
  return async (input, init) => {
    if (++answers > mostAnswers) throw badAnswer(repo, `a list of more than ${mostAnswers} pages`);
    const url = input instanceof Request ? input.url : String(input);
    return retry(
      () =>
        exchange(url, init ?? {}, http, async (response, pieces) => {
          if (!response.ok) throw hubRefusal(response, repo, `revision ${revision}`, settings);
          const chunks: Uint8Array<ArrayBuffer>[] = [];
          let length = 0;
          for await (const piece of pieces) {
            length += piece.length;
            if (length > longestAnswer) throw badAnswer(repo, `more than ${longestAnswer} bytes`);
            chunks.push(Uint8Array.from(piece));
          }
          return new Response(new Blob(chunks), { headers: { link: response.headers.get("link") ?? "" } });
        }),
      http,
    );
  };
}

/** What the hub's refusal means and what can be done. */
export function hubRefusal(
  response: Response,
  repo: string,
  wanted: string,
  settings: HubSettings,
): CriaError {
  const page = `${settings.endpoint}/${repo}`;
  const said = response.headers.get("x-error-message");
  const detail = said === null ? "" : ` (the hub says: ${said.slice(0, 300)})`;
  switch (response.status) {
    case 401:
      return new CriaError(
        "network",
        settings.token === undefined
          ? `${repo}: there is no such repository, or it is private or gated: check the name, or set HF_TOKEN to an ` +
              `access token of an account that may read ${page}${detail}`
          : `${repo}: the hub does not accept the access token: check HF_TOKEN, and the name${detail}`,
      );
    case 403:
      return new CriaError(
        "network",
        `${repo}: access is not granted: open ${page}, accept its terms, and use an access token (HF_TOKEN) of that ` +
          `account with permission to read gated repositories${detail}`,
      );
    case 404: {
      const missing = response.headers.get("x-error-code") === "RepoNotFound" ? "such repository" : wanted;
      return new CriaError("not-found", `${repo}: the hub has no ${missing}; see ${page}${detail}`);
    }
    default:
      return new CriaError("network", `${repo}: the hub answered with status ${response.status}${detail}`);
  }
}

function badAnswer(repo: string, what: string, cause?: unknown): CriaError {
  return new CriaError("bad-file", `${repo}: the hub's answer is not understood: ${what}`, { cause });
}
