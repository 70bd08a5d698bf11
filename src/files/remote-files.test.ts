import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { remoteFiles } from "./remote-files.ts";

const content = new TextEncoder().encode("0123456789");
let server: Server;
let base: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/folder/hidden.json") return void response.writeHead(403).end();
    if (request.url === "/folder/page.json") return void response.end("<html>");
    if (request.url !== "/folder/file.bin") {
      response.writeHead(404).end();
      return;
    }
    const last = content.length - 1;
    response.writeHead(206, {
      "content-range": `bytes 0-${last}/${content.length}`,
      "content-length": content.length,
    });
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

test("a file is opened, its neighbours are found or not, and bytes are counted", async () => {
  const files = remoteFiles({});
  const url = `${base}/folder/file.bin`;
  const source = await files.open(url);
  expect(await source.read(2, 3)).toEqual(content.slice(2, 5));
  expect(files.fetchedBytes()).toBe(10);
  expect(await files.exists(files.join(files.folderOf(url), "config.json"))).toBe(false);
  expect(await files.exists(files.join(files.folderOf(`${url}?download=true`), files.baseName(url)))).toBe(
    true,
  );
});

test("what a server will not give is not there: 403 for unknown names, a page in the place of a file", async () => {
  const files = remoteFiles({});
  expect(await files.exists(`${base}/folder/hidden.json`)).toBe(false);
  expect(await files.exists(`${base}/folder/page.json`)).toBe(false);
  await expect(files.open(`${base}/folder/hidden.json`)).rejects.toThrow("not permitted");
  const nobody = remoteFiles({ retries: 0 });
  await expect(nobody.exists("http://127.0.0.1:9/x")).rejects.toMatchObject({ code: "network" });
});

test("a known list spares the questions", async () => {
  const files = remoteFiles({}, new Set([`${base}/other`]));
  expect(await files.exists(`${base}/other`)).toBe(true);
  expect(await files.exists(`${base}/folder/file.bin`)).toBe(false);
  expect(files.fetchedBytes()).toBe(0);
});
