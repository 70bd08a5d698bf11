/**
 * A file on a web server, read in ranges: only the parts that are asked for travel.
 *
 * The file is seen as blocks of 256 KiB. A read fetches the blocks it touches, neighbours in one request, and keeps the
 * last 64 (16 MiB), so a reader that goes through a header in small steps makes few requests.
 *
 * Flow: `https://…` → openUrl → readers of gguf/ and safetensors/. Source: RFC 9110, section 14 (range requests).
 */
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { allocateBytes, type ByteSource, checkRange } from "./byte-source.ts";
import { contentRange, exchange, type HttpOptions, retry, TemporaryFailure, withoutQuery } from "./http.ts";

/** How a remote file is read. */
export interface UrlOptions extends HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/** A remote file. */
export interface UrlSource extends ByteSource {
  /** How many bytes have come from the server so far. */
  readonly fetchedBytes: number;
}

const blockLength = 256 * 1024;
const keptBlocks = 64;
/** Blocks in one request: a whole tensor is fetched in pieces of 8 MiB, so that a cut repeats little. */
const requestBlocks = 32;

/**
 * Opens the file at an http(s) address.
 *
 * @throws {CriaError} code "not-found", "network", "aborted", or "unsupported" when the server gives no parts of files.
 */
export async function openUrl(url: string, options: UrlOptions = {}): Promise<UrlSource> {
  const name = withoutQuery(url);
  let fetchedBytes = 0;
  let closed = false;
  /** By block index, least recently used first. */
  const blocks = new Map<number, Promise<Uint8Array>>();

  /** Bytes [first, last] and what the server says of the whole. `last` may pass the end. */
  const fetchRange = (first: number, last: number): Promise<Part> =>
    retry(
      () =>
        exchange(url, requestFor(options, first, last), options, async (response, pieces) => {
          const part = partOf(name, response, first, last);
          const bytes = new Uint8Array(part.byteLength);
          let done = 0;
          for await (const piece of pieces) {
            fetchedBytes += piece.length;
            if (done + piece.length > bytes.length)
              throw new CriaError("network", `${name}: more than the ${bytes.length} bytes announced came`);
            bytes.set(piece, done);
            done += piece.length;
          }
          if (done < bytes.length)
            throw new TemporaryFailure(
              `${name}: ${done} of ${bytes.length} bytes came, then the answer ended`,
            );
          return { bytes, total: part.total, version: part.version };
        }),
      options,
    );

  const start = await fetchRange(0, blockLength - 1);
  const { total, version } = start;
  if (total > 0) blocks.set(0, Promise.resolve(start.bytes));

  /** Begins to fetch blocks [first, first + count) in one request. */
  const fetchBlocks = (first: number, count: number): void => {
    const end = Math.min((first + count) * blockLength, total);
    const fetched = fetchRange(first * blockLength, end - 1).then((part) => {
      if (part.total !== total || part.version !== version)
        throw new CriaError("bad-file", `${name}: changed on the server while it was read; open it again`);
      return part.bytes;
    });
    for (let index = first; index < first + count; index++) {
      const from = (index - first) * blockLength;
      const block = fetched.then((bytes) => bytes.slice(from, from + blockLength));
      // A failed block must not be kept; who waits for it learns of the failure.
      block.catch(() => blocks.get(index) === block && blocks.delete(index));
      blocks.set(index, block);
    }
  };

  return {
    name,
    byteLength: total,
    get fetchedBytes() {
      return fetchedBytes;
    },
    async read(byteOffset, byteLength) {
      if (closed) throw new CriaError("disposed", `${name}: read after close`);
      throwIfAborted(options.signal);
      checkRange(name, total, byteOffset, byteLength);
      const result = allocateBytes(name, byteLength);
      const end = byteOffset + byteLength;
      let from = byteOffset;
      while (from < end) {
        const first = Math.floor(from / blockLength);
        const last = Math.min(Math.floor((end - 1) / blockLength), first + requestBlocks - 1);
        for (let index = first; index <= last; index++) {
          if (blocks.has(index)) continue;
          let count = 1;
          while (index + count <= last && !blocks.has(index + count)) count++;
          fetchBlocks(index, count);
        }
        const wanted = Array.from({ length: last - first + 1 }, (_, offset) => blocks.get(first + offset)!);
        const ready = await Promise.all(wanted);
        for (const [offset, block] of ready.entries()) {
          const blockStart = (first + offset) * blockLength;
          const piece = block.subarray(Math.max(0, byteOffset - blockStart), end - blockStart);
          result.set(piece, Math.max(blockStart, byteOffset) - byteOffset);
          touch(blocks, first + offset);
        }
        from = (last + 1) * blockLength;
      }
      return result;
    },
    async close() {
      closed = true;
      blocks.clear();
    },
  };
}

interface Part {
  readonly bytes: Uint8Array;
  readonly total: number;
  /** ETag or Last-Modified; empty when the server gives neither. */
  readonly version: string;
}

function requestFor(options: UrlOptions, first: number, last: number): RequestInit {
  return { headers: { ...options.headers, range: `bytes=${first}-${last}` } };
}

/** Checks that the answer is the part that was asked for. */
function partOf(
  name: string,
  response: Response,
  first: number,
  last: number,
): { byteLength: number; total: number; version: string } {
  const version = response.headers.get("etag") ?? response.headers.get("last-modified") ?? "";
  switch (response.status) {
    case 206:
      break;
    case 416:
      // What servers say to the first byte of an empty file.
      if (response.headers.get("content-range") === "bytes */0") return { byteLength: 0, total: 0, version };
      throw new CriaError("bad-file", `${name}: has no byte ${first}; was it changed while it was read?`);
    case 200:
      throw new CriaError(
        "unsupported",
        `${name}: the server gives only the whole file (status 200 to a range request); download it first`,
      );
    case 404:
    case 410:
      throw new CriaError("not-found", `${name}: the server has no such file (status ${response.status})`);
    case 401:
    case 403:
      throw new CriaError("network", `${name}: not permitted (status ${response.status})`);
    default:
      throw new CriaError("network", `${name}: expected a part of a file, got status ${response.status}`);
  }
  const range = contentRange(response);
  if (!range)
    throw new CriaError(
      "unsupported",
      `${name}: the server does not say which part it sends (Content-Range)`,
    );
  if (range.first !== first || range.last !== Math.min(last, range.total - 1))
    throw new CriaError(
      "network",
      `${name}: asked for bytes ${first} to ${last}, the server sent ${range.first} to ${range.last} of ${range.total}`,
    );
  return { byteLength: range.last - range.first + 1, total: range.total, version };
}

/** Makes a block the most recently used, and drops the oldest over the limit. */
function touch(blocks: Map<number, Promise<Uint8Array>>, index: number): void {
  const block = blocks.get(index);
  if (!block) return;
  blocks.delete(index);
  blocks.set(index, block);
  for (const oldest of blocks.keys()) {
    if (blocks.size <= keptBlocks) return;
    blocks.delete(oldest);
  }
}
