/** Requests to the server that gave this page, with the key that it wants. */

import { recall, remember } from "./remember.ts";

const KEY = "cria-api-key";

/** Kept until the tab is closed. */
export function setApiKey(key: string): void {
  remember(KEY, key.trim(), "session");
}

export function hasApiKey(): boolean {
  return (recall(KEY, "session") ?? "") !== "";
}

/** @throws {TypeError} when no server answers */
export function ask(path: string, init: RequestInit & { readonly json?: unknown } = {}): Promise<Response> {
  const { json, ...rest } = init;
  const key = recall(KEY, "session") ?? "";
  const headers = new Headers(rest.headers);
  if (key !== "") headers.set("authorization", `Bearer ${key}`);
  if (json === undefined) return fetch(path, { ...rest, headers }).catch(explained);
  headers.set("content-type", "application/json");
  return fetch(path, { method: "POST", ...rest, headers, body: JSON.stringify(json) }).catch(explained);
}

/** Browsers say “Failed to fetch” or “network error”. */
export function explained(error: unknown): never {
  if (!(error instanceof TypeError)) throw error;
  throw new TypeError("The server cannot be reached: is it still running?", { cause: error });
}

/** @throws {Error} with the server's own words, unless the response is good */
export async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  const failure = (await response.json().catch(() => ({}))) as { error?: { message?: string } };
  throw new Error(failure.error?.message ?? `the server answered ${response.status}`);
}
