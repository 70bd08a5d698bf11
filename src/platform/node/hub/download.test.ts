import { renameSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type HubServer, serveHub, sha256 } from "../../../../tests/builders/hub-server.ts";
import type { DownloadProgress, ResolveOptions } from "./options.ts";
import { pullModel } from "./pull.ts";

/** The disk is full when a file would get longer than this. */
const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    async open(...args: Parameters<typeof real.open>): Promise<FileHandle> {
      const handle = await real.open(...args);
      const write = handle.write.bind(handle);
      const limited = (bytes: Uint8Array, from: number, length: number, position: number): unknown => {
        if (position >= disk.room)
          return Promise.reject(Object.assign(new Error("write failed"), { code: "ENOSPC" }));
        return write(bytes, from, Math.min(length, disk.room - position), position);
      };
      return Object.assign(handle, { write: limited });
    },
  };
});

const weights = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7919) >> 3);
let hub: HubServer;
let cacheFolder: string;
beforeEach(async () => {
  disk.room = Number.POSITIVE_INFINITY;
  hub = await serveHub({ "m-Q4_0.gguf": weights });
  cacheFolder = await mkdtemp(join(tmpdir(), "cria-download-"));
});
afterEach(async () => {
  await hub.close();
  await rm(cacheFolder, { recursive: true });
});

const pull = (more: ResolveOptions = {}) =>
  pullModel("hf:user/repo", {
    endpoint: hub.endpoint,
    cacheFolder,
    offline: false,
    retryDelayMs: 1,
    ...more,
  });
const blob = (): string => join(cacheFolder, "models--user--repo", "blobs", sha256(weights));

it("keeps what came before the disk was full, and goes on from there", async () => {
  disk.room = 123_456;
  await expect(pull()).rejects.toMatchObject({
    code: "bad-file",
    message: expect.stringContaining("no space left on the device; what came so far is kept"),
  });
  expect(hub.fileRequests().filter((request) => request.server === "cdn")).toHaveLength(1);
  expect((await stat(`${blob()}.incomplete`)).size).toBe(123_456);
  disk.room = Number.POSITIVE_INFINITY;
  const { path } = await pull();
  expect(sha256(await readFile(path))).toBe(sha256(weights));
  expect(hub.seen.at(-1)?.range).toBe("bytes=123456-");
});

it("is content when another process finished the file while this one stood still", async () => {
  let finished = false;
  const onDownload = ({ receivedBytes }: DownloadProgress): void => {
    if (receivedBytes < weights.length || finished) return;
    finished = true;
    renameSync(`${blob()}.incomplete`, blob());
  };
  const { path } = await pull({ onDownload });
  expect(finished).toBe(true);
  expect(sha256(await readFile(path))).toBe(sha256(weights));
});
