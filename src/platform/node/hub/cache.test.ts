import { lstat, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { diskError, linkSnapshot } from "./cache.ts";

const disk = vi.hoisted(() => ({ symbolicLinks: true, hardLinks: true }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const refuse = (): Promise<never> =>
    Promise.reject(Object.assign(new Error("not permitted"), { code: "EPERM" }));
  return {
    ...real,
    symlink: (...args: Parameters<typeof real.symlink>) =>
      disk.symbolicLinks ? real.symlink(...args) : refuse(),
    link: (...args: Parameters<typeof real.link>) => (disk.hardLinks ? real.link(...args) : refuse()),
  };
});

let folder: string;
let blob: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-cache-"));
  [blob, path] = [join(folder, "blobs", "b"), join(folder, "snapshots", "c", "two", "file")];
  await mkdir(join(folder, "blobs"));
  await writeFile(blob, "bytes");
});
afterEach(() => rm(folder, { recursive: true }));

describe("linkSnapshot", () => {
  it.each([
    [true, true],
    [false, true],
    [false, false],
  ])("leads to the bytes where symbolic links work: %j, hard links: %j", async (symbolicLinks, hardLinks) => {
    Object.assign(disk, { symbolicLinks, hardLinks });
    await linkSnapshot(blob, path);
    expect(await readFile(path, "utf8")).toBe("bytes");
    expect((await lstat(path)).isSymbolicLink()).toBe(symbolicLinks);
  });

  it("replaces a link that leads nowhere", async () => {
    Object.assign(disk, { symbolicLinks: true });
    await linkSnapshot(join(folder, "blobs", "gone"), path);
    await linkSnapshot(blob, path);
    expect(await readFile(path, "utf8")).toBe("bytes");
  });
});

describe("diskError", () => {
  it.each([
    ["ENOSPC", "no space left"],
    ["EACCES", "HF_HUB_CACHE"],
    ["EIO", "the reason"],
  ])("puts %s into words", (code, words) => {
    const error = diskError("/cache", Object.assign(new Error("the reason"), { code }));
    expect(error).toMatchObject({ code: "bad-file", message: expect.stringContaining(words) });
  });
});
