import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { gitHash, type HubServer, serveHub, sha256 } from "../../../../tests/builders/hub-server.ts";
import { startPull, until } from "../../../../tests/builders/pull-process.ts";
import { listCachedModels } from "./list.ts";
import type { DownloadProgress, ResolveOptions } from "./options.ts";
import { pullModel } from "./pull.ts";
import { resolveModel } from "./resolve.ts";

const size = 300_000;
const weights = Uint8Array.from({ length: size }, (_, index) => (index * 7919) >> 3);
const other = Uint8Array.from({ length: 1000 }, (_, index) => index);
const readme = new TextEncoder().encode("# A model\n");
const repository = {
  "README.md": readme,
  "model-Q4_K_M.gguf": weights,
  "model-Q8_0.gguf": other,
  "two/big-Q2_K-00001-of-00002.gguf": other,
  "two/big-Q2_K-00002-of-00002.gguf": weights,
};

let hub: HubServer;
let cacheFolder: string;

beforeEach(async () => {
  hub = await serveHub(repository);
  cacheFolder = await mkdtemp(join(tmpdir(), "cria-hub-"));
});
afterEach(async () => {
  await hub.close();
  await rm(cacheFolder, { recursive: true });
});

const name = "hf:user/repo:Q4_K_M";
const options = (more: ResolveOptions = {}): ResolveOptions => ({
  endpoint: hub.endpoint,
  cacheFolder,
  token: "hf_secret",
  retryDelayMs: 1,
  offline: false,
  ...more,
});
const inRepo = (...parts: string[]): string => join(cacheFolder, "models--user--repo", ...parts);
const partial = (): string => inRepo("blobs", `${sha256(weights)}.incomplete`);

describe("pullModel", () => {
  it("lays files out as Hugging Face tools do, and asks for no byte again", async () => {
    const pulled = await pullModel(name, options());
    expect(pulled).toEqual({
      path: inRepo("snapshots", hub.commit, "model-Q4_K_M.gguf"),
      files: [pulled.path],
      bytes: size,
    });
    expect(sha256(await readFile(pulled.path))).toBe(sha256(weights));
    expect(await readlink(pulled.path)).toBe(join("..", "..", "blobs", sha256(weights)));
    expect(await readFile(inRepo("refs", "main"), "utf8")).toBe(hub.commit);
    expect(await readdir(inRepo("blobs"))).toEqual([sha256(weights)]);
    expect(await readdir(join(cacheFolder, ".locks", "models--user--repo"))).toEqual([]);

    const requests = hub.fileRequests().length;
    expect(await pullModel(name, options())).toEqual(pulled);
    expect(hub.fileRequests()).toHaveLength(requests);
  });

  it("checks small files by git's hash", async () => {
    const pulled = await pullModel("hf:user/repo/README.md", options());
    expect(await readlink(pulled.path)).toBe(join("..", "..", "blobs", gitHash(readme)));
    await rm(inRepo(), { recursive: true });
    hub.mishaps = [{ corrupt: true }];
    await expect(pullModel("hf:user/repo/README.md", options())).rejects.toMatchObject({ code: "checksum" });
  });

  it("brings all parts of a split file and links them from their folder", async () => {
    const seen: DownloadProgress[] = [];
    const pulled = await pullModel(
      "hf:user/repo:q2_k@refs/pr/1",
      options({ onDownload: (p) => seen.push(p) }),
    );
    expect(pulled.path).toBe(inRepo("snapshots", hub.commit, "two", "big-Q2_K-00001-of-00002.gguf"));
    expect(pulled.files).toHaveLength(2);
    for (const file of pulled.files) await stat(file);
    expect(await readFile(inRepo("refs", "refs", "pr", "1"), "utf8")).toBe(hub.commit);
    expect(seen.at(-1)).toMatchObject({ receivedBytes: size + 1000, totalBytes: size + 1000 });
    expect(seen.every((p, index) => p.receivedBytes >= (seen[index - 1]?.receivedBytes ?? 0))).toBe(true);
  });

  it("brings a safetensors model's weights last, so that no part of it passes for the whole", async () => {
    const paths = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const besides = ["config.json", "tokenizer.json"];
    const shards = await serveHub(
      Object.fromEntries([...paths, ...besides].map((path, index) => [path, other.subarray(index)])),
    );
    const at = { ...options(), endpoint: shards.endpoint };
    const cut = { ...at, retries: 0 };
    shards.mishaps = [{}, {}, {}, { cutAfter: 5 }];
    await expect(pullModel("hf:user/repo", cut)).rejects.toMatchObject({ code: "network" });
    await expect(resolveModel("hf:user/repo", { ...at, offline: true })).rejects.toMatchObject({
      code: "offline",
    });
    const pulled = await pullModel("hf:user/repo", at);
    expect(pulled.path).toBe(inRepo("snapshots", shards.commit));
    expect((await readdir(pulled.path)).sort()).toEqual([...besides, ...paths].sort());
    expect(await resolveModel("hf:user/repo", { ...at, offline: true })).toBe(pulled.path);
    await shards.close();
  });

  it("sends the token to the hub only", async () => {
    await pullModel(name, options());
    expect(hub.seen.filter((request) => request.server === "cdn")).not.toHaveLength(0);
    for (const { server, authorization } of hub.seen)
      expect(authorization).toBe(server === "hub" ? "Bearer hf_secret" : undefined);
  });

  it("goes on where the connection was cut, fetching no byte twice", async () => {
    hub.mishaps = [{ cutAfter: 70_000 }, { cutAfter: 0 }, { cutAfter: 100_000 }];
    await pullModel(name, options({ retries: 2 }));
    const ranges = hub.seen.filter((request) => request.server === "cdn").map((request) => request.range);
    expect(ranges).toEqual([undefined, "bytes=70000-", "bytes=70000-", "bytes=170000-"]);
    expect(hub.fileRequests().reduce((sum, request) => sum + request.sentBytes, 0)).toBe(size);
  });

  it("gives up when cuts bring it no further", async () => {
    hub.mishaps = Array.from({ length: 9 }, () => ({ cutAfter: 5000, ignoreRange: true }));
    await expect(pullModel(name, options({ retries: 3 }))).rejects.toMatchObject({ code: "network" });
    expect(hub.seen.filter((request) => request.server === "cdn")).toHaveLength(4);
    expect((await stat(partial())).size).toBeLessThanOrEqual(5000);
  });

  it("begins anew with a server that ignores Range", async () => {
    hub.mishaps = [{ cutAfter: 70_000 }, { ignoreRange: true }];
    const { path } = await pullModel(name, options());
    expect(sha256(await readFile(path))).toBe(sha256(weights));
  });

  it("keeps what came when a page of words comes in the file's place", async () => {
    hub.mishaps = [{ cutAfter: 70_000 }, { status: 200, headers: { "content-length": "0" } }, {}];
    await pullModel(name, options());
    const ranges = hub.seen.filter((request) => request.server === "cdn").map((request) => request.range);
    expect(ranges).toHaveLength(3);
    expect(ranges[1]).toMatch(/^bytes=[1-9]/);
    expect(ranges[2]).toBe(ranges[1]);
  });

  it("writes nothing where all is there, so that a cache may be read-only", async () => {
    await pullModel(name, options());
    const before = (await stat(inRepo("refs", "main"))).ino;
    await pullModel(name, options());
    // A file that is replaced is another one.
    expect((await stat(inRepo("refs", "main"))).ino).toBe(before);
  });

  it("makes a stalled connection anew", async () => {
    hub.mishaps = [{ stallAfter: 70_000 }];
    const { path } = await pullModel(name, options({ stallMs: 200 }));
    expect(sha256(await readFile(path))).toBe(sha256(weights));
    expect(hub.seen.at(-1)?.range).toBe("bytes=70000-");
  });

  it("waits when the hub says so", async () => {
    hub.apiMishaps = [{ status: 429, headers: { "retry-after": "0" } }, { status: 503 }];
    hub.mishaps = [{ status: 429 }];
    await pullModel(name, options());
    hub.apiMishaps = Array.from({ length: 3 }, () => ({ status: 429 }));
    await expect(pullModel(name, options({ retries: 2 }))).rejects.toThrow("429: too many requests");
  });

  it("deletes wrong bytes, and works the next time", async () => {
    hub.mishaps = [{ corrupt: true }];
    await expect(pullModel(name, options())).rejects.toMatchObject({ code: "checksum" });
    expect(await readdir(inRepo("blobs"))).toEqual([]);
    await pullModel(name, options());
  });

  it("deletes a part whose bytes on disk are not the file's", async () => {
    await mkdir(inRepo("blobs"), { recursive: true });
    await writeFile(partial(), new Uint8Array(1000));
    await expect(pullModel(name, options())).rejects.toMatchObject({ code: "checksum" });
    await writeFile(partial(), new Uint8Array(size + 1));
    await pullModel(name, options());
  });

  it.each([-1, 1])("notices a length that differs by %d from the announced one", async (difference) => {
    hub.statedSize = size + difference;
    await expect(pullModel(name, options())).rejects.toMatchObject({ code: "checksum" });
    expect(await readdir(inRepo("blobs"))).toEqual([]);
  });

  it("refuses what the disk cannot hold before it begins", async () => {
    hub.statedSize = 2 ** 52;
    await expect(pullModel(name, options())).rejects.toThrow("the device has space for");
    expect(hub.fileRequests()).toEqual([]);
  });

  it("leaves a part to resume when aborted", async () => {
    const abort = new AbortController();
    hub.mishaps = [{ stallAfter: 70_000 }];
    const onDownload = (p: DownloadProgress): void => {
      if (p.receivedBytes === 70_000) abort.abort();
    };
    const pulling = pullModel(name, options({ signal: abort.signal, onDownload }));
    await expect(pulling).rejects.toMatchObject({ code: "aborted" });
    expect((await stat(partial())).size).toBe(70_000);
    await pullModel(name, options());
    expect(hub.seen.at(-1)?.range).toBe("bytes=70000-");
  });

  it("says what to do when the hub refuses", async () => {
    hub.apiMishaps = [{ status: 403 }];
    await expect(pullModel(name, options())).rejects.toThrow(
      `open ${hub.endpoint}/user/repo, accept its terms`,
    );
    await expect(pullModel("hf:user/repo@dev", options())).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("no revision dev"),
    });
    await expect(pullModel("hf:user/other", options())).rejects.toThrow("no such repository");
    await expect(pullModel("hf:user/repo:Q3_K_S", options())).rejects.toThrow("model-Q8_0.gguf");
    await expect(pullModel("./model.gguf", options())).rejects.toMatchObject({ code: "bad-input" });
    await expect(pullModel(name, options({ token: "two words" }))).rejects.toMatchObject({
      code: "bad-input",
    });
  });

  it("asks for a token where one is needed, and takes any kind of token", async () => {
    const closed = await serveHub(repository, { token: "api_org_x" });
    const at = { ...options(), endpoint: closed.endpoint };
    await expect(pullModel(name, at)).rejects.toThrow("check HF_TOKEN");
    await pullModel(name, { ...at, token: "api_org_x" });
    await closed.close();
  });
});

describe("several pulls at once", () => {
  it("do not meet in one process either", async () => {
    const names = [name, "hf:user/repo:Q8_0", "hf:user/repo/README.md", name];
    for (let round = 0; round < 5; round++) {
      const pulled = await Promise.all(names.map((wanted) => pullModel(wanted, options())));
      expect(pulled.map(({ bytes }) => bytes)).toEqual([size, other.length, readme.length, size]);
      expect(await readdir(inRepo())).toEqual(["blobs", "refs", "snapshots"]);
      expect(await readdir(inRepo("refs"))).toEqual(["main"]);
      await rm(inRepo(), { recursive: true });
    }
  });

  it("resumes what a killed process began", async () => {
    hub.mishaps = [{ stallAfter: 120_000 }];
    const child = startPull(name, options());
    await until(async () => (await stat(partial()).catch(() => undefined))?.size === 120_000);
    child.kill();
    expect(await child.ended).toBe("SIGKILL");
    expect(await readdir(join(cacheFolder, ".locks", "models--user--repo"))).toHaveLength(1);

    const { path } = await pullModel(name, options());
    expect(sha256(await readFile(path))).toBe(sha256(weights));
    expect(hub.seen.at(-1)).toMatchObject({ range: "bytes=120000-", sentBytes: size - 120_000 });
  });

  it("downloads once for several that want the same at the same time", async () => {
    hub.mishaps = [{ stallAfter: 120_000 }];
    const first = startPull(name, options({ stallMs: 1000 }));
    await until(async () => (await stat(partial()).catch(() => undefined))?.size === 120_000);
    const second = startPull(name, options());
    const { path } = await pullModel(name, options());
    expect(await Promise.all([first.ended, second.ended])).toEqual([0, 0]);
    expect(sha256(await readFile(path))).toBe(sha256(weights));
    const ranges = hub.seen.filter((request) => request.server === "cdn").map((request) => request.range);
    expect(ranges).toEqual([undefined, "bytes=120000-"]);
  });

  it("breaks a lock that nobody touches", async () => {
    const folder = join(cacheFolder, ".locks", "models--user--repo");
    const lock = join(folder, `${sha256(weights)}.cria-lock`);
    await mkdir(folder, { recursive: true });
    await writeFile(lock, "1 another-host\n");
    await utimes(lock, new Date(0), new Date(0));
    await pullModel(name, options());
  });

  it("waits for a lock of a living process, until aborted", async () => {
    const folder = join(cacheFolder, ".locks", "models--user--repo");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${sha256(weights)}.cria-lock`), `${process.pid} ${hostname()}\n`);
    const pulling = pullModel(name, options({ signal: AbortSignal.timeout(300) }));
    await expect(pulling).rejects.toMatchObject({ code: "aborted" });
    expect(hub.fileRequests()).toEqual([]);
  });
});

describe("resolveModel", () => {
  it("keeps paths and refuses addresses", async () => {
    expect(await resolveModel("some/model.gguf")).toBe("some/model.gguf");
    await expect(resolveModel("https://host/model.gguf")).rejects.toMatchObject({ code: "bad-input" });
  });

  it("uses only the cache when offline", async () => {
    const offline = options({ offline: true });
    await expect(resolveModel(name, offline)).rejects.toMatchObject({ code: "offline" });
    const { path } = await pullModel(name, options());
    const requests = hub.seen.length;
    expect(await resolveModel(name, offline)).toBe(path);
    expect(await resolveModel("hf:user/repo", offline)).toBe(path);
    await expect(resolveModel("hf:user/repo:Q8_0", offline)).rejects.toMatchObject({ code: "offline" });
    expect(hub.seen).toHaveLength(requests);
  });

  it("uses the cache when the hub does not answer, and when a commit is named", async () => {
    const { path } = await pullModel(name, options());
    const requests = hub.seen.length;
    expect(await resolveModel(`${name}@${hub.commit}`, options())).toBe(path);
    expect(hub.seen).toHaveLength(requests);
    hub.apiMishaps = Array.from({ length: 9 }, () => ({ status: 503 }));
    expect(await resolveModel(name, options())).toBe(path);
    await expect(resolveModel("hf:user/repo:Q8_0", options({ retries: 1 }))).rejects.toMatchObject({
      code: "network",
    });
  });
});

describe("listCachedModels", () => {
  it("tells files, revisions and unfinished bytes", async () => {
    expect(await listCachedModels({ cacheFolder: join(cacheFolder, "none") })).toEqual([]);
    await pullModel(name, options());
    await writeFile(inRepo("blobs", `${sha256(other)}.incomplete`), new Uint8Array(12));
    expect(await listCachedModels(options())).toEqual([
      {
        repo: "user/repo",
        revisions: ["main"],
        files: [{ path: "model-Q4_K_M.gguf", bytes: size }],
        partialBytes: 12,
      },
    ]);
  });
});
