/**
 * Node's file system behind the interface that readers and writers use.
 */
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type ByteSink, type ByteSource, checkRange, type FileSystem } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";

export const nodeFiles: FileSystem = {
  open: openFile,
  create: createFile,
  async list(path) {
    const info = await stat(path).catch(() => undefined);
    return info?.isDirectory() ? (await readdir(path)).sort() : undefined;
  },
  async exists(path) {
    return (await stat(path).catch(() => undefined)) !== undefined;
  },
  join,
  folderOf: dirname,
  baseName: basename,
};

async function openFile(path: string): Promise<ByteSource> {
  const handle = await open(path, "r").catch((error) => {
    throw fileError(path, error);
  });
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw new CriaError(
      "bad-file",
      `${path}: expected a file, but it is ${info.isDirectory() ? "a folder" : "none"}`,
    );
  }
  return {
    name: path,
    byteLength: info.size,
    async read(byteOffset, byteLength) {
      checkRange(path, info.size, byteOffset, byteLength);
      const bytes = new Uint8Array(byteLength);
      for (let done = 0; done < byteLength; ) {
        const { bytesRead } = await handle.read(bytes, done, byteLength - done, byteOffset + done);
        if (bytesRead === 0)
          throw new CriaError(
            "bad-file",
            `${path}: ends at byte ${byteOffset + done}; it had ${info.size} when opened`,
          );
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

async function createFile(path: string): Promise<ByteSink> {
  const temporary = `${path}.${process.pid}.tmp`;
  const wrapped = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      throw fileError(path, error);
    }
  };
  const handle = await wrapped(async () => {
    await mkdir(dirname(path), { recursive: true });
    return open(temporary, "w");
  });
  return {
    write: (bytes) => wrapped(() => writeAll(handle, bytes)),
    close: () =>
      wrapped(async () => {
        await handle.sync();
        await handle.close();
        await rename(temporary, path);
      }),
    async abort() {
      await handle.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** What the system's error means, in words. */
function fileError(path: string, cause: unknown): CriaError {
  const code = (cause as NodeJS.ErrnoException).code;
  switch (code) {
    case "ENOENT":
      return new CriaError("not-found", `${path}: no such file`, { cause });
    case "EISDIR":
      return new CriaError("bad-file", `${path}: expected a file, but it is a folder`, { cause });
    case "EACCES":
    case "EPERM":
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
