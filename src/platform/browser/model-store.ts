/**
 * Models that a page has downloaded, in the origin's private file system (OPFS), shared by all of its tabs.
 *
 *   models/<key>/0, 1, …  a file for each chunk    models/<key>.json    where they come from, and a hash of each chunk
 *
 * A file is written by way of a copy of it, so that one which grew by chunks would be copied whole for each of them.
 *
 * A download goes in chunks. One that was cut goes on after the last whole chunk, whose bytes are checked against their
 * hash first; when the file on the server has changed meanwhile it begins anew. A model that is stored whole needs no
 * network. One tab downloads at a time, the others wait for it.
 *
 * Flow: address → storeModel → File → blob-files.ts.
 */
import { contentRange, exchange, type HttpOptions, retry, TemporaryFailure } from "../../files/http.ts";
import { CriaError, throwIfAborted } from "../../shared/errors.ts";
import { hex } from "../../shared/hex.ts";

/** Bytes of a chunk. */
const CHUNK = 8 << 20;
/** How long a server is asked for a newer version of a model that is stored whole. */
const NEWS_MS = 5000;

export interface StoredModel {
  /** Where it was downloaded from. */
  readonly url: string;
  readonly totalBytes: number;
  readonly storedBytes: number;
}

export interface StoreOptions extends HttpOptions {
  readonly onProgress?: (progress: { readonly receivedBytes: number; readonly totalBytes: number }) => void;
}

interface Record {
  readonly url: string;
  readonly totalBytes: number;
  /** The server's name for this version of the file: its ETag, or its date. */
  readonly version: string;
  /** SHA-256 of each chunk that is whole, in hexadecimal. */
  readonly chunks: string[];
}

/**
 * The model at an address, downloaded if it is not there.
 *
 * @throws {CriaError} "network", "not-found", "aborted"; "no-memory" when the browser gives the page too little room
 */
export function storeModel(url: string, options: StoreOptions = {}): Promise<File> {
  return locked(url, options.signal, () => download(url, options));
}

/** Whether the browser gives this page room: not to one that came by http from another machine. */
export function canStore(): boolean {
  return "storage" in navigator && "locks" in navigator;
}

/** What is stored, whole or in part. */
export async function listModels(): Promise<StoredModel[]> {
  if (!canStore()) return [];
  const folder = await modelsFolder();
  const models: StoredModel[] = [];
  for await (const name of folder.keys()) {
    if (!name.endsWith(".json")) continue;
    const record = await readRecord(folder, name.slice(0, -5));
    if (record)
      models.push({ url: record.url, totalBytes: record.totalBytes, storedBytes: doneBytes(record) });
  }
  return models;
}

/** Removes a model; no error when it is not there. */
export async function deleteModel(url: string): Promise<void> {
  if (!canStore()) return;
  await locked(url, undefined, async () => {
    await remove(await modelsFolder(), await keyOf(url));
  });
}

async function download(url: string, options: StoreOptions): Promise<File> {
  const folder = await modelsFolder();
  const key = await keyOf(url);
  let record = await readRecord(folder, key);
  const stored = record && (await wholeFile(folder, key, record));
  let head: Awaited<ReturnType<typeof headOf>>;
  try {
    // Who has it all is only asked for news: no reason to keep a person waiting.
    head = await headOf(url, stored ? { ...options, retries: 0, stallMs: NEWS_MS } : options);
  } catch (error) {
    if (stored && !options.signal?.aborted) return stored;
    throw error;
  }
  if (record?.version !== head.version || record.totalBytes !== head.totalBytes) {
    record = { url, ...head, chunks: [] };
    await remove(folder, key);
  }
  const parts = await folder.getDirectoryHandle(key, { create: true });
  await keepGoodChunks(parts, record);
  await checkQuota(url, record);
  await writeRecord(folder, key, record);
  options.onProgress?.({ receivedBytes: doneBytes(record), totalBytes: record.totalBytes });
  while (doneBytes(record) < record.totalBytes) {
    throwIfAborted(options.signal);
    const first = doneBytes(record);
    const bytes = await fetchChunk(
      url,
      first,
      Math.min(record.totalBytes, first + CHUNK) - 1,
      head.version,
      options,
    );
    await write(parts, String(record.chunks.length), bytes, url);
    record.chunks.push(await hashOf(bytes));
    await writeRecord(folder, key, record);
    options.onProgress?.({ receivedBytes: doneBytes(record), totalBytes: record.totalBytes });
  }
  const file = await wholeFile(folder, key, record);
  if (!file) throw new CriaError("bad-file", `${url}: what was stored is gone; load it again`);
  return file;
}

/** The model's file if it has all of its bytes. */
async function wholeFile(
  folder: FileSystemDirectoryHandle,
  key: string,
  { totalBytes }: Record,
): Promise<File | undefined> {
  const parts = await folder.getDirectoryHandle(key).catch(() => undefined);
  if (!parts) return undefined;
  const files = await Promise.all(
    Array.from({ length: Math.ceil(totalBytes / CHUNK) }, (_, index) => partOf(parts, index)),
  );
  const file = new File(
    files.map((part) => part ?? ""),
    key,
  );
  return file.size === totalBytes ? file : undefined;
}

function partOf(parts: FileSystemDirectoryHandle, index: number): Promise<File | undefined> {
  return parts
    .getFileHandle(String(index))
    .then((handle) => handle.getFile())
    .catch(() => undefined);
}

/** Begins anew unless the last chunk is as it was written. Whole files are taken without reading them. */
async function keepGoodChunks(parts: FileSystemDirectoryHandle, record: Record): Promise<void> {
  const { chunks, totalBytes } = record;
  for (let index = 0; index < chunks.length; index++) {
    const part = await partOf(parts, index);
    if (part?.size !== Math.min(CHUNK, totalBytes - index * CHUNK)) chunks.length = index;
  }
  if (chunks.length === 0 || doneBytes(record) === totalBytes) return;
  const last = await partOf(parts, chunks.length - 1);
  const bytes = new Uint8Array((await last?.arrayBuffer()) ?? new ArrayBuffer(0));
  if ((await hashOf(bytes)) !== chunks.at(-1)) chunks.length = 0;
}

/** Writes a file whole. */
async function write(
  folder: FileSystemDirectoryHandle,
  name: string,
  data: Uint8Array<ArrayBuffer> | string,
  url: string,
): Promise<void> {
  let stream: FileSystemWritableFileStream | undefined;
  try {
    stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await stream.write(data);
    await stream.close();
  } catch (cause) {
    // What was written so far would take room until it is collected.
    await stream?.abort().catch(() => {});
    if (cause instanceof DOMException && cause.name === "QuotaExceededError")
      throw await noRoom(url, data.length, cause);
    throw cause;
  }
}

/** Also what versions before kept in one file. */
async function remove(folder: FileSystemDirectoryHandle, key: string): Promise<void> {
  for (const name of [`${key}.json`, `${key}.model`, key])
    await folder.removeEntry(name, { recursive: true }).catch(() => {});
}

async function checkQuota(url: string, record: Record): Promise<void> {
  const needed = record.totalBytes - doneBytes(record);
  const { quota = Number.POSITIVE_INFINITY, usage = 0 } = await navigator.storage.estimate();
  if (needed > quota - usage) throw await noRoom(url, needed);
  // So that the browser does not drop it when it needs room; it may say no.
  await navigator.storage.persist?.().catch(() => false);
}

async function noRoom(url: string, needed: number, cause?: unknown): Promise<CriaError> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  return new CriaError(
    "no-memory",
    `${url}: ${megabytes(needed)} are needed, but the browser lets this site keep ${megabytes(Math.max(0, quota - usage))} more; delete other models or make room on the disk`,
    { cause },
  );
}

/** Length and version of the file, by its first byte: servers that refuse HEAD answer this. */
function headOf(url: string, options: StoreOptions): Promise<{ totalBytes: number; version: string }> {
  return retry(
    () =>
      exchange(url, { headers: { range: "bytes=0-0" } }, options, async (response) => {
        if (response.status === 404) throw new CriaError("not-found", `${url}: not found`);
        const range = contentRange(response);
        if (response.status !== 206 || !range)
          throw new CriaError(
            "unsupported",
            `${url}: expected the server to give parts of files (status 206), got ${response.status}`,
          );
        return { totalBytes: range.total, version: versionOf(response) };
      }),
    options,
  );
}

function fetchChunk(
  url: string,
  first: number,
  last: number,
  version: string,
  options: StoreOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return retry(
    () =>
      exchange(url, { headers: { range: `bytes=${first}-${last}` } }, options, async (response, pieces) => {
        if (response.status !== 206 || versionOf(response) !== version)
          throw new CriaError(
            "network",
            `${url}: the file on the server changed while it was downloaded; try again`,
          );
        const bytes = new Uint8Array(last + 1 - first);
        let done = 0;
        for await (const piece of pieces) {
          if (done + piece.length > bytes.length)
            throw new CriaError("network", `${url}: more came than was asked for`);
          bytes.set(piece, done);
          done += piece.length;
        }
        if (done < bytes.length) throw new TemporaryFailure(`${url}: ${done} of ${bytes.length} bytes came`);
        return bytes;
      }),
    options,
  );
}

function versionOf(response: Response): string {
  return response.headers.get("etag") ?? response.headers.get("last-modified") ?? "";
}

function doneBytes({ chunks, totalBytes }: Record): number {
  return Math.min(totalBytes, chunks.length * CHUNK);
}

async function modelsFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle("models", { create: true });
}

async function readRecord(folder: FileSystemDirectoryHandle, key: string): Promise<Record | undefined> {
  try {
    const handle = await folder.getFileHandle(`${key}.json`);
    return JSON.parse(await (await handle.getFile()).text()) as Record;
  } catch {
    // None, or one that was cut while it was written: the download begins anew.
    return undefined;
  }
}

function writeRecord(folder: FileSystemDirectoryHandle, key: string, record: Record): Promise<void> {
  return write(folder, `${key}.json`, JSON.stringify(record), record.url);
}

async function keyOf(url: string): Promise<string> {
  return (await hashOf(new TextEncoder().encode(url))).slice(0, 32);
}

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** One tab at a time for each address. */
async function locked<Result>(
  url: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  throwIfAborted(signal);
  try {
    return (await navigator.locks.request(`cria:${url}`, { ...(signal ? { signal } : {}) }, work)) as Result;
  } catch (error) {
    // Who waits for the lock hears of an abort in the browser's own words.
    if (!(error instanceof CriaError)) throwIfAborted(signal);
    throw error;
  }
}
