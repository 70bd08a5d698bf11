/**
 * Node's file system behind the interface that readers and writers use.
 *
 *   open    exact ranges of a regular file; pipes and devices are refused, since a pipe that nobody feeds blocks for ever
 *   create  <path>.<random>.tmp, on close synced and renamed to <path>, on abort removed
 *
 * Flow: path → nodeFiles → readers in src/files, model/convert.ts.
 */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  allocateBytes,
  type ByteSink,
  type ByteSource,
  checkRange,
  type FileSystem,
} from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";

export const nodeFiles: FileSystem = {
  open: openFile,
  create: createFile,
  async list(path) {
    const info = await stat(path).catch(() => undefined);
    return info?.isDirectory() ? (await worded(path, readdir(path))).sort() : undefined;
  },
  async exists(path) {
    return (await stat(path).catch(() => undefined)) !== undefined;
  },
  join,
  folderOf: dirname,
  baseName: basename,
};

/** Bytes in one call: Node's native code ends the process when it is asked for 2 GiB. */
const longestCall = 2 ** 30;

async function openFile(path: string): Promise<ByteSource> {
  // Before opening: to open a pipe is to wait for its writer.
  const info = await worded(path, stat(path));
  if (!info.isFile()) throw new CriaError("bad-file", `${path}: expected a file, but it is ${kindOf(info)}`);
  const handle = await worded(path, open(path, "r"));
  let closed = false;
  return {
    name: path,
    byteLength: info.size,
    async read(byteOffset, byteLength, into) {
      if (closed) throw new CriaError("disposed", `${path}: read after close`);
      checkRange(path, info.size, byteOffset, byteLength);
      const bytes = allocateBytes(path, byteLength, into);
      for (let done = 0; done < byteLength; ) {
        const length = Math.min(byteLength - done, longestCall);
        const { bytesRead } = await worded(path, handle.read(bytes, done, length, byteOffset + done));
        if (bytesRead === 0)
          throw new CriaError(
            "bad-file",
            `${path}: ends at byte ${byteOffset + done}; it had ${info.size} when opened`,
          );
        done += bytesRead;
      }
      return bytes;
    },
    async close() {
      closed = true;
      await handle.close();
    },
  };
}

function kindOf(info: Stats): string {
  return info.isDirectory() ? "a folder" : "a pipe or a device";
}

async function createFile(path: string): Promise<ByteSink> {
  // Now, not after hours of writing. A pipe or a device would be replaced by the file: for root that is the end of /dev/null.
  const info = await stat(path).catch(() => undefined);
  if (info && !info.isFile())
    throw new CriaError("bad-file", `${path}: expected a file to write, but it is ${kindOf(info)}`);
  await worded(path, mkdir(dirname(path), { recursive: true }));
  // Random and "wx": neither another writer of the same path nor a link that lies there gets these bytes.
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const handle = await worded(path, open(temporary, "wx"));
  let ended = false;
  const checkOpen = (): void => {
    if (ended) throw new CriaError("disposed", `${path}: written after close`);
  };
  return {
    async write(bytes) {
      checkOpen();
      for (let done = 0; done < bytes.length; ) {
        const length = Math.min(bytes.length - done, longestCall);
        const { bytesWritten } = await worded(path, handle.write(bytes, done, length));
        done += bytesWritten;
      }
    },
    async close() {
      checkOpen();
      ended = true;
      await worded(path, handle.sync());
      await worded(path, handle.close());
      await worded(path, rename(temporary, path));
    },
    async abort() {
      ended = true;
      await handle.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

/** Awaits the system and puts what goes wrong into words. */
export async function worded<Value>(path: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw fileError(path, error);
  }
}

/** What the system's error means, in words. */
function fileError(path: string, cause: unknown): CriaError {
  const code = (cause as NodeJS.ErrnoException).code;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new CriaError("not-found", `${path}: no such file`, { cause });
    case "EEXIST":
      return new CriaError("bad-file", `${path}: expected a folder, but it is a file`, { cause });
    case "EISDIR":
      return new CriaError("bad-file", `${path}: expected a file, but it is a folder`, { cause });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new CriaError("bad-file", `${path}: not permitted`, { cause });
    case "ENOSPC":
    case "EDQUOT":
      return new CriaError("bad-file", `${path}: no space left on the device`, { cause });
    default:
      return new CriaError("bad-file", `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
  }
}
