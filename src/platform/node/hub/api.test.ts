import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HubServer, listen, serveHub } from "../../../../tests/builders/hub-server.ts";
import { openUrl } from "../../../files/url-source.ts";
import { describeRepository, fileUrl, hubFetch, hubHttp } from "./api.ts";
import { type HubSettings, hubSettings } from "./options.ts";

const weights = new Uint8Array(1000).fill(7);
const oid = "a".repeat(40);

let hub: HubServer;
let settings: HubSettings;

beforeEach(async () => {
  hub = await serveHub({ "a b#1.gguf": weights, "config.json": new Uint8Array(2), "../evil.gguf": weights });
  settings = await hubSettings({
    endpoint: `${hub.endpoint}//`,
    token: "hf_secret",
    retries: 0,
    offline: false,
  });
});
afterEach(() => hub.close());

describe("describeRepository", () => {
  it("reads all pages and leaves out paths that lead elsewhere", async () => {
    const { commit, files } = await describeRepository("user/repo", "main", settings);
    expect(commit).toBe(hub.commit);
    expect(files.map((file) => [file.path, file.byteLength, file.etag.length])).toEqual([
      ["a b#1.gguf", 1000, 64],
      ["config.json", 2, 40],
    ]);
    expect(hub.seen.filter((request) => request.path.includes("/tree/"))).toHaveLength(2);
  });

  it.each([
    ["<html>", undefined],
    ["null", undefined],
    [`{"sha": "main"}`, undefined],
    [`{"sha": "../../../etc"}`, undefined],
    [`{"sha": "${oid}"}`, "{}"],
    [`{"sha": "${oid}"}`, "[null]"],
    [`{"sha": "${oid}"}`, `[{"type": "file", "path": "a", "size": 1, "oid": "../x"}]`],
    [`{"sha": "${oid}"}`, `[{"type": "file", "path": "a", "size": -1, "oid": "${oid}"}]`],
    [`{"sha": "${oid}"}`, `[{"type": "file", "path": "a", "size": 1e99, "oid": "${oid}"}]`],
    [`{"sha": "${oid}"}`, `[{"type": "file", "path": "a", "oid": "${oid}"}]`],
  ])("refuses the answers %s and %s", async (info, tree) => {
    hub.apiMishaps = [{ text: info }, ...(tree === undefined ? [] : [{ text: tree }])];
    await expect(describeRepository("user/repo", "main", settings)).rejects.toMatchObject({
      code: "bad-file",
    });
  });
});

describe("describeRepository of a hub without end", () => {
  it("gives up a list whose next page is itself", async () => {
    const server = createServer((request, response) => {
      const page = `http://${request.headers.host}${request.url}`;
      const answer = request.url?.includes("/tree/") ? [] : { sha: oid };
      response.writeHead(200, { link: `<${page}>; rel="next"` }).end(JSON.stringify(answer));
    });
    const at = { ...settings, endpoint: await listen(server) };
    await expect(describeRepository("user/repo", "main", at)).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringContaining("pages"),
    });
    server.closeAllConnections();
    server.close();
  });
});

describe("hubFetch", () => {
  it("opens a file over its redirect, keeping the token on the hub", async () => {
    const url = fileUrl("user/repo", hub.commit, "a b#1.gguf", settings);
    const source = await openUrl(url, hubHttp(settings));
    expect(await source.read(990, 10)).toEqual(weights.subarray(990));
    expect(hub.seen.map((request) => [request.server, request.authorization])).toEqual([
      ["hub", "Bearer hf_secret"],
      ["cdn", undefined],
    ]);
  });

  describe("with a server that redirects", () => {
    let server: Server;
    let location: string;
    let origin: string;
    beforeEach(async () => {
      server = createServer((_, response) => void response.writeHead(302, { location }).end());
      origin = await listen(server);
    });
    afterEach(() => void server.close());

    it.each(["/again", "file:///etc/passwd", "https://["])("does not follow %s for ever", async (target) => {
      location = target;
      const at = { ...settings, endpoint: origin };
      await expect(hubFetch(at)(`${origin}/a`, {})).rejects.toMatchObject({ code: "network" });
    });

    it("sends no token to a host that only resembles the hub", async () => {
      location = `${hub.endpoint}/user/repo/resolve/${hub.commit}/config.json`;
      const at = { ...settings, endpoint: origin };
      expect((await hubFetch(at)(`${origin}/a`, {})).status).toBe(200);
      expect(hub.seen.map((request) => request.authorization)).toEqual([undefined]);
    });
  });
});
