/**
 * Downloads one file to `<blob>.incomplete`, checks it, and gives it its name.
 *
 * What is there already is hashed and the rest asked for with Range, so no byte travels twice: neither after a cut, nor
 * after this process was killed. The blob's name is the hash of its bytes: SHA-256 (64 digits), or git's SHA-1 of
 * "blob <length>\0" and the bytes (40 digits).
 *
 * Flow: pull.ts → downloadBlob → blobs/<etag>. Source: RFC 9110, section 14; git-scm.com, "Git Objects".
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, statfs } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { contentRange, exchange, type HttpOptions, retry, TemporaryFailure } from "../../../files/http.ts";
import { CriaError, throwIfAborted } from "../../../shared/errors.ts";
import { sizeOf } from "./cache.ts";

/** One file to download. */
export interface DownloadRequest {
  readonly url: string;
  /** For messages. */
  readonly name: string;
  readonly blob: string;
  readonly byteLength: number;
  readonly http: HttpOptions;
  /** What an answer that is neither 200 nor 206 means. */
  readonly refusal: (response: Response) => CriaError;
  readonly onReceived: (receivedBytes: number) => void;
}

/**
 * Downloads a blob, continuing what an earlier call left.
 *
 * @throws {CriaError} code "checksum" when the bytes are not the announced ones (they are deleted), "network", "aborted".
 */
export async function downloadBlob(request: DownloadRequest): Promise<void> {
  const partial = `${request.blob}.incomplete`;
  await mkdir(dirname(partial), { recursive: true });
  // "a+" would write at the end whatever the position; "r+" does not create.
  const handle = await open(partial, "r+").catch(() => open(partial, "w+"));
  try {
    const part = await existingPart(handle, request);
    await checkSpace(partial, request.byteLength - part.length);
    if (part.length < request.byteLength) await receive(part, request);
    checkHash(part, request);
    await handle.sync();
  } catch (error) {
    if (error instanceof CriaError && error.code === "checksum") await rm(partial, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  try {
    await rename(partial, request.blob);
  } catch (error) {
    // A process that stood still for long has lost its lock, and another may have finished the file meanwhile.
    if ((await sizeOf(request.blob)) !== request.byteLength) throw error;
  }
}

/** The beginning of the file that is on disk, and the hash over it. */
interface Part {
  readonly handle: FileHandle;
  length: number;
  hash: Hash;
}

async function existingPart(handle: FileHandle, request: DownloadRequest): Promise<Part> {
  const part: Part = { handle, length: 0, hash: newHash(request) };
  const { size } = await handle.stat();
  if (size > request.byteLength) {
    await startOver(part, request);
    return part;
  }
  const buffer = new Uint8Array(1 << 20);
  while (part.length < size) {
    throwIfAborted(request.http.signal);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, part.length);
    if (bytesRead === 0) break;
    part.hash.update(buffer.subarray(0, bytesRead));
    part.length += bytesRead;
  }
  request.onReceived(part.length);
  return part;
}

async function startOver(part: Part, request: DownloadRequest): Promise<void> {
  await part.handle.truncate(0);
  part.length = 0;
  part.hash = newHash(request);
}

/** Asks for what is missing until everything came. */
async function receive(part: Part, request: DownloadRequest): Promise<void> {
  const { byteLength, http, name } = request;
  let furthest = part.length;
  await retry(
    (advanced) =>
      exchange(request.url, requestFrom(part.length), http, async (response, pieces) => {
        await checkAnswer(response, part, request);
        for await (const piece of pieces) {
          if (part.length + piece.length > byteLength)
            throw new CriaError("checksum", `${name}: more than the announced ${byteLength} bytes came`);
          await writeAll(part.handle, piece, part.length);
          part.hash.update(piece);
          part.length += piece.length;
          request.onReceived(part.length);
          // Not on every piece: from a server that ignores Range and always cuts, the same bytes would come for ever.
          if (part.length > furthest) {
            furthest = part.length;
            advanced();
          }
        }
        if (part.length < byteLength)
          throw new TemporaryFailure(
            `${name}: ${part.length} of ${byteLength} bytes came, then the answer ended`,
          );
      }),
    http,
  );
}

function requestFrom(byteOffset: number): RequestInit {
  // Encoded bytes could neither be resumed nor counted.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (byteOffset > 0) headers.range = `bytes=${byteOffset}-`;
  return { headers };
}

/** Makes sure that the answer's first byte belongs at the end of the part. */
async function checkAnswer(response: Response, part: Part, request: DownloadRequest): Promise<void> {
  switch (response.status) {
    case 200:
      // The server ignores Range and begins at the beginning.
      if (part.length === 0) return;
      refuseOther(response, request);
      await startOver(part, request);
      return;
    case 206: {
      const range = contentRange(response);
      if (range?.first === part.length && range.total === request.byteLength) return;
      const came = response.headers.get("content-range");
      throw new CriaError(
        "network",
        `${request.name}: asked for the bytes from ${part.length} of ${request.byteLength}, the server sent ${came}`,
      );
    }
    case 416:
      throw new CriaError(
        "checksum",
        `${request.name}: the server's file ends before byte ${part.length}, ${request.byteLength} are announced`,
      );
    default:
      throw request.refusal(response);
  }
}

/** A page of words in the file's place, as hotel networks send it, is no reason to drop gigabytes that are here. */
function refuseOther(response: Response, request: DownloadRequest): void {
  const length = response.headers.get("content-length");
  if (length === null || response.headers.has("content-encoding")) return;
  if (Number(length) !== request.byteLength)
    throw new TemporaryFailure(
      `${request.name}: the server sent something else, of ${length} instead of ${request.byteLength} bytes`,
    );
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function newHash(request: DownloadRequest): Hash {
  if (basename(request.blob).length === 64) return createHash("sha256");
  return createHash("sha1").update(`blob ${request.byteLength}\0`);
}

function checkHash(part: Part, request: DownloadRequest): void {
  const expected = basename(request.blob);
  const actual = part.hash.digest("hex");
  if (actual === expected) return;
  throw new CriaError(
    "checksum",
    `${request.name}: expected bytes with the hash ${expected}, got ${actual}; they were deleted, download it again`,
  );
}

/** Refuses what cannot fit before gigabytes came. */
async function checkSpace(path: string, needed: number): Promise<void> {
  const disk = await statfs(dirname(path)).catch(() => undefined);
  if (!disk || disk.blocks === 0) return;
  const free = disk.bavail * disk.bsize;
  if (needed > free)
    throw new CriaError(
      "bad-file",
      `${path}: ${needed} bytes are to come, but the device has space for ${free}; ` +
        "free some, or name another folder in HF_HUB_CACHE",
    );
}
