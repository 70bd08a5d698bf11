/**
 * Bytes that can be read at any offset: a file, an HTTP resource, or a buffer. Readers of model files ask for ranges
 * and never for the whole, so a file may be far larger than memory.
 */
import { CriaError } from "../shared/errors.ts";

/** Random access to immutable bytes. */
export interface ByteSource {
  /** Path or URL, for messages. */
  readonly name: string;
  readonly byteLength: number;
  /**
   * Reads exactly `byteLength` bytes. The result is the caller's own copy, aligned to 8 bytes unless it lies in `into`.
   *
   * @param into room that may be used for the result, so that reading much leaves no garbage; it may be shared memory, and
   * nothing is written to it once the promise is settled
   * @throws {CriaError} code "bad-file" when the range passes the end.
   */
  read(byteOffset: number, byteLength: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A source over bytes in memory. */
export function memorySource(bytes: Uint8Array, name = "memory"): ByteSource {
  return {
    name,
    byteLength: bytes.length,
    async read(byteOffset, byteLength) {
      checkRange(name, bytes.length, byteOffset, byteLength);
      // Not `slice`: of a Node Buffer it is a view, not a copy.
      return Uint8Array.from(bytes.subarray(byteOffset, byteOffset + byteLength));
    },
    async close() {},
  };
}

/** Throws "bad-file" unless the range lies inside a source of `sourceLength` bytes. */
export function checkRange(name: string, sourceLength: number, byteOffset: number, byteLength: number): void {
  const valid = Number.isSafeInteger(byteOffset) && Number.isSafeInteger(byteLength) && byteOffset >= 0;
  if (!valid || byteLength < 0 || byteOffset + byteLength > sourceLength)
    throw new CriaError(
      "bad-file",
      `${name}: expected ${byteLength} bytes at byte ${byteOffset}, but the file has ${sourceLength}`,
    );
}

/**
 * Room for a range that `checkRange` let through. A file's length bounds nothing: a sparse file, or what a server says,
 * may be longer than any memory. Given room is used where it is enough.
 *
 * @throws {CriaError} code "no-memory"
 */
export function allocateBytes(name: string, byteLength: number, into?: Uint8Array): Uint8Array {
  if (into && into.length >= byteLength) return into.subarray(0, byteLength);
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new CriaError("no-memory", `${name}: no memory for ${byteLength} bytes read at once`, { cause });
  }
}

/** Where a writer puts bytes, in order. Nothing appears under the final name until `close` succeeds. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the file appear under its name. */
  close(): Promise<void>;
  /** Drops what was written. */
  abort(): Promise<void>;
}

/** What readers and writers need of the platform's file system. Paths are the platform's own. */
export interface FileSystem {
  /** @throws {CriaError} code "not-found" */
  open(path: string): Promise<ByteSource>;
  /** A sink that replaces `path` atomically on `close`. */
  create(path: string): Promise<ByteSink>;
  /** Names in a folder, sorted; undefined when `path` is not a folder. */
  list(path: string): Promise<string[] | undefined>;
  exists(path: string): Promise<boolean>;
  join(...parts: string[]): string;
  folderOf(path: string): string;
  baseName(path: string): string;
}

/** Writes a file whole or not at all. @throws what `write` throws, and the system */
export async function writeWhole(
  files: FileSystem,
  path: string,
  write: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const sink = await files.create(path);
  try {
    await write(sink);
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
