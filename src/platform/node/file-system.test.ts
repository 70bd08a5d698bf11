import { execFileSync } from "node:child_process";
import type { FileHandle } from "node:fs/promises";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nodeFiles } from "./file-system.ts";

/** Changes what the system gives, for failures that a test cannot bring about. */
const system = vi.hoisted(() => ({ change: (_: FileHandle): void => {} }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    async open(...args: Parameters<typeof real.open>): Promise<FileHandle> {
      const handle = await real.open(...args);
      system.change(handle);
      return handle;
    },
  };
});

const content = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) >> 4);
const failing = (code: string) => async (): Promise<never> => {
  throw Object.assign(new Error(`${code}: the system's words`), { code });
};

let folder: string;
let path: string;
beforeEach(async () => {
  system.change = () => {};
  folder = await mkdtemp(join(tmpdir(), "cria-files-"));
  path = join(folder, "file");
  await writeFile(path, content);
});
afterEach(() => rm(folder, { recursive: true }));

describe("open", () => {
  it("reads any range as it is in the file, into memory of the caller's own", async () => {
    const source = await nodeFiles.open(path);
    expect(source).toMatchObject({ name: path, byteLength: content.length });
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(content.length), async (a, b) => {
        const [from, end] = [Math.min(a, b), Math.max(a, b)];
        const bytes = await source.read(from, end - from);
        expect(bytes.byteOffset).toBe(0);
        expect(Buffer.compare(bytes, content.subarray(from, end))).toBe(0);
        bytes.fill(255);
      }),
      { numRuns: 50 },
    );
    await source.close();
  });

  it.each([
    [0, 5001],
    [5001, 0],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
  ])("refuses the range from %d of %d bytes", async (from, length) => {
    const source = await nodeFiles.open(path);
    await expect(source.read(from, length)).rejects.toMatchObject({ code: "bad-file" });
    await source.close();
  });

  it("says what stands where a file should be", async () => {
    const missing = [join(folder, "none"), join(path, "below a file")];
    for (const name of missing)
      await expect(nodeFiles.open(name)).rejects.toMatchObject({
        code: "not-found",
        message: expect.stringContaining(name),
      });
    await expect(nodeFiles.open(folder)).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringMatching(/a folder$/),
    });
    await expect(nodeFiles.open("a\0b")).rejects.toMatchObject({ name: "CriaError", code: "bad-file" });
  });

  it.skipIf(process.platform === "win32")(
    "neither waits for a pipe's writer nor replaces a pipe",
    async () => {
      const pipe = join(folder, "pipe");
      execFileSync("mkfifo", [pipe]);
      await expect(nodeFiles.open(pipe)).rejects.toMatchObject({ code: "bad-file" });
      await expect(nodeFiles.create(pipe)).rejects.toMatchObject({
        code: "bad-file",
        message: expect.stringMatching(/a pipe or a device$/),
      });
    },
  );

  it("notices that the file became shorter", async () => {
    const source = await nodeFiles.open(path);
    await truncate(path, 1000);
    await expect(source.read(500, 1000)).rejects.toThrow(/ends at byte 1000; it had 5000/);
    await source.close();
  });

  it("puts a failing disk and a closed file into words", async () => {
    system.change = (handle) => Object.assign(handle, { read: failing("EIO") });
    const source = await nodeFiles.open(path);
    await expect(source.read(0, 1)).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringContaining("file: EIO"),
    });
    await source.close();
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: "disposed" });
  });

  it("reads more than 2 GiB in several calls, and refuses what no memory holds", async () => {
    const lengths: number[] = [];
    // Nothing is read: the pages of zeros are never touched and take no memory.
    const read = async (_: Uint8Array, __: number, length: number): Promise<{ bytesRead: number }> => {
      lengths.push(length);
      return { bytesRead: length };
    };
    system.change = (handle) => Object.assign(handle, { read });
    await truncate(path, 2 ** 43);
    const source = await nodeFiles.open(path);
    expect(await source.read(0, 2 ** 31 + 5)).toHaveLength(2 ** 31 + 5);
    expect(Math.max(...lengths)).toBeLessThan(2 ** 31);
    await expect(source.read(0, 2 ** 43)).rejects.toMatchObject({ code: "no-memory" });
    await source.close();
  });
});

describe("create", () => {
  it("makes the file appear when it is closed, in place of the old one", async () => {
    const target = join(folder, "new", "deeper", "file");
    for (const bytes of [content, content.subarray(7)]) {
      const sink = await nodeFiles.create(target);
      await sink.write(bytes.subarray(0, 10));
      const before = await readFile(target).catch(() => undefined);
      expect(before?.length).toBe(bytes === content ? undefined : content.length);
      await sink.write(new Uint8Array());
      await sink.write(bytes.subarray(10));
      await sink.close();
      expect(Buffer.compare(await readFile(target), bytes)).toBe(0);
      await expect(sink.write(bytes)).rejects.toMatchObject({ code: "disposed" });
      await expect(sink.close()).rejects.toMatchObject({ code: "disposed" });
    }
    expect(await readdir(join(folder, "new", "deeper"))).toEqual(["file"]);
  });

  it("leaves everything as it was when aborted, and what is done when aborted late", async () => {
    const sink = await nodeFiles.create(path);
    await sink.write(new Uint8Array(3));
    await sink.abort();
    await sink.abort();
    expect(await readdir(folder)).toEqual(["file"]);
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
    const late = await nodeFiles.create(path);
    await late.close();
    await late.abort();
    expect(await readFile(path)).toHaveLength(0);
  });

  it("lets two write the same path: each whole, the last one stays", async () => {
    const [first, second] = [await nodeFiles.create(path), await nodeFiles.create(path)];
    await first.write(new Uint8Array([1, 1, 1]));
    await second.write(new Uint8Array([2]));
    await first.close();
    expect([...(await readFile(path))]).toEqual([1, 1, 1]);
    await second.close();
    expect([...(await readFile(path))]).toEqual([2]);
    expect(await readdir(folder)).toEqual(["file"]);
  });

  it("writes on after a short write", async () => {
    system.change = (handle) => {
      const write = handle.write.bind(handle);
      const short = (bytes: Uint8Array, from: number, length: number): unknown =>
        write(bytes, from, Math.min(length, 999));
      Object.assign(handle, { write: short });
    };
    const sink = await nodeFiles.create(path);
    await sink.write(content);
    await sink.close();
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
  });

  it.each([
    ["ENOSPC", "no space left on the device"],
    ["EDQUOT", "no space left on the device"],
    ["EIO", "the system's words"],
  ])("puts %s while writing into words, and leaves the old file", async (code, words) => {
    system.change = (handle) => Object.assign(handle, { write: failing(code) });
    const sink = await nodeFiles.create(path);
    await expect(sink.write(content)).rejects.toMatchObject({
      name: "CriaError",
      code: "bad-file",
      message: expect.stringContaining(words),
    });
    await sink.abort();
    expect(await readdir(folder)).toEqual(["file"]);
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
  });

  it("does not appear when the bytes could not be brought to the disk", async () => {
    system.change = (handle) => Object.assign(handle, { sync: failing("ENOSPC") });
    const sink = await nodeFiles.create(path);
    await sink.write(new Uint8Array(3));
    await expect(sink.close()).rejects.toMatchObject({ code: "bad-file" });
    await sink.abort();
    expect(await readdir(folder)).toEqual(["file"]);
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
  });

  it("refuses at once where no file can be", async () => {
    for (const target of [folder, join(path, "below a file")])
      await expect(nodeFiles.create(target)).rejects.toMatchObject({ name: "CriaError" });
    expect(await readdir(folder)).toEqual(["file"]);
  });
});

describe("list and exists", () => {
  it("names what is in a folder, and nothing else", async () => {
    await mkdir(join(folder, "a"));
    await symlink(join(folder, "none"), join(folder, "link to nothing"));
    expect(await nodeFiles.list(folder)).toEqual(["a", "file", "link to nothing"]);
    expect(await nodeFiles.list(path)).toBeUndefined();
    expect(await nodeFiles.list(join(folder, "none"))).toBeUndefined();
    expect(await nodeFiles.exists(folder)).toBe(true);
    expect(await nodeFiles.exists(path)).toBe(true);
    expect(await nodeFiles.exists(join(folder, "link to nothing"))).toBe(false);
  });
});
