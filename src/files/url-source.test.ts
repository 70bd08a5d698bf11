import { createServer, type Server } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { listen, type Mishap, type SeenRequest, sendFile } from "../../tests/builders/hub-server.ts";
import { openUrl, type UrlOptions, type UrlSource } from "./url-source.ts";

const block = 256 * 1024;
const file = Uint8Array.from({ length: 3 * block + 1000 }, (_, index) => (index * 7919) >> 5);

let server: Server;
let origin: string;
let mishaps: Mishap[];
let seen: SeenRequest[];
let served: Uint8Array;

beforeAll(async () => {
  server = createServer((request, response) => {
    const { range, authorization } = request.headers;
    const entry = { server: "cdn", path: request.url ?? "", range, authorization, sentBytes: 0 } as const;
    seen.push(entry);
    sendFile(entry, response, served, mishaps.shift() ?? {});
  });
  origin = await listen(server);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  mishaps = [];
  seen = [];
  served = file;
});

const open = (options: UrlOptions = {}): Promise<UrlSource> =>
  openUrl(`${origin}/model.gguf?signature=secret`, { retryDelayMs: 1, ...options });

/** Far faster than comparing element by element. */
const same = (bytes: Uint8Array, from: number, length: number): boolean =>
  Buffer.compare(bytes, file.subarray(from, from + length)) === 0;

describe("openUrl", () => {
  it("reads any range as it is in the file, and hides the address's secrets", async () => {
    const source = await open();
    expect(source).toMatchObject({ name: `${origin}/model.gguf`, byteLength: file.length });
    const range = fc
      .tuple(fc.nat(file.length), fc.nat(file.length))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
    await fc.assert(
      fc.asyncProperty(range, async ([from = 0, end = 0]) => {
        const bytes = await source.read(from, end - from);
        expect(same(bytes, from, end - from)).toBe(true);
      }),
      { numRuns: 30 },
    );
    await expect(source.read(file.length - 1, 2)).rejects.toMatchObject({ code: "bad-file" });
  });

  it("fetches each block once, neighbours together, also for reads at the same time", async () => {
    const source = await open();
    expect(source.fetchedBytes).toBe(block);
    await source.read(10, 100);
    expect(seen).toHaveLength(1);
    await Promise.all([
      source.read(block, 2 * block),
      source.read(block + 5, 5),
      source.read(0, file.length),
    ]);
    expect(seen.map((request) => request.range)).toEqual([
      `bytes=0-${block - 1}`,
      `bytes=${block}-${3 * block - 1}`,
      `bytes=${3 * block}-${file.length - 1}`,
    ]);
    expect(source.fetchedBytes).toBe(file.length);
  });

  it("gives copies, so that a reader cannot change what the next one sees", async () => {
    const source = await open();
    (await source.read(0, 10)).fill(255);
    expect(same(await source.read(0, 10), 0, 10)).toBe(true);
  });

  it("keeps a bounded number of blocks", async () => {
    served = new Uint8Array(70 * block);
    const source = await open();
    await source.read(0, served.length);
    const requests = seen.length;
    expect(requests).toBe(4);
    await source.read(69 * block, 1);
    expect(seen).toHaveLength(requests);
    await source.read(0, 1);
    expect(seen).toHaveLength(requests + 1);
  });

  it("tries again after cuts, stalls, 429 and 5xx", async () => {
    mishaps = [{ status: 429, headers: { "retry-after": "0" } }, { cutAfter: 1000 }, { stallAfter: 10 }];
    const source = await open({ stallMs: 100 });
    mishaps = [{ status: 503 }];
    expect(same(await source.read(block, 10), block, 10)).toBe(true);
    mishaps = Array.from({ length: 4 }, () => ({ cutAfter: 5 }));
    await expect(source.read(2 * block, 10)).rejects.toMatchObject({ code: "network" });
    // A failure is not kept.
    expect(same(await source.read(2 * block, 10), 2 * block, 10)).toBe(true);
  });

  it("notices that the file changed", async () => {
    const source = await open();
    mishaps = [{ headers: { etag: '"other"' } }];
    await expect(source.read(block, 10)).rejects.toThrow("changed on the server");
    served = file.subarray(0, 2 * block);
    await expect(source.read(2 * block, 10)).rejects.toMatchObject({ code: "bad-file" });
  });

  it.each<[string, Mishap, string]>([
    ["gives no parts of files", { ignoreRange: true }, "unsupported"],
    ["sends another part", { headers: { "content-range": `bytes 1-${block}/${file.length}` } }, "network"],
    ["does not say which part", { headers: { "content-range": "bytes */*" } }, "unsupported"],
    ["has no such file", { status: 404 }, "not-found"],
    ["does not permit", { status: 403 }, "network"],
  ])("says so when the server %s", async (_, mishap, code) => {
    mishaps = [mishap];
    await expect(open()).rejects.toMatchObject({ code });
    expect(seen).toHaveLength(1);
  });

  it("takes no memory for a length that only the server states", async () => {
    const stated = 2 ** 43;
    mishaps = [{ headers: { "content-range": `bytes 0-${block - 1}/${stated}` } }];
    const source = await open();
    expect(source.byteLength).toBe(stated);
    await expect(source.read(0, stated)).rejects.toMatchObject({ code: "no-memory" });
    expect(seen).toHaveLength(1);
  });

  it("opens an empty file", async () => {
    served = new Uint8Array();
    const source = await open();
    expect(source.byteLength).toBe(0);
    expect(await source.read(0, 0)).toEqual(new Uint8Array());
  });

  it("stops when aborted, and after close", async () => {
    const abort = new AbortController();
    const source = await open({ signal: abort.signal });
    mishaps = [{ stallAfter: 10 }];
    const reading = source.read(block, 10);
    setTimeout(() => abort.abort(), 50);
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: "aborted" });
    await expect(open({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    const other = await open();
    await other.close();
    await expect(other.read(0, 1)).rejects.toMatchObject({ code: "disposed" });
  });

  it("says what failed when there is no server", async () => {
    await expect(openUrl("http://127.0.0.1:1/a", { retries: 0 })).rejects.toMatchObject({
      code: "network",
      message: expect.stringContaining("http://127.0.0.1:1/a: the connection failed"),
    });
  });
});
