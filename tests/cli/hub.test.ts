/** pull, list, inspect and generate by name, against a small server that answers as the hub does. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../tiny-model.ts";
import { mainPath, type Ran, runCria, testEnvironment } from "./run-cria.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const repo = "someone/tiny-GGUF";
const fileName = "tiny.Q8_0.gguf";

let folder: string;
let content: Buffer;
let server: Server;
let endpoint: string;
/** The server sends this much of the file and then nothing more. */
let stallAfter = Number.POSITIVE_INFINITY;
const ranges: (string | undefined)[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-hub-"));
  const path = join(folder, "tiny.gguf");
  await writeTinyModel(path);
  content = readFileSync(path);
  const file = { oid: createHash("sha256").update(content).digest("hex"), size: content.length };
  const answers = new Map<string, unknown>([
    [`/api/models/${repo}/revision/main`, { _id: "1", id: repo, sha: commit }],
    [
      `/api/models/${repo}/tree/${commit}`,
      [{ type: "file", path: fileName, ...file, lfs: { ...file, pointerSize: 1 } }],
    ],
  ]);
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://host");
    const answer = answers.get(pathname);
    if (answer !== undefined) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    } else if (pathname === `/${repo}/resolve/${commit}/${fileName}`) {
      const [, first = 0, last] = (/^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? []).map(Number);
      const end = Math.min(last || content.length - 1, content.length - 1);
      const range = { "content-range": `bytes ${first}-${end}/${content.length}` };
      response.writeHead(request.headers.range ? 206 : 200, request.headers.range ? range : {});
      ranges.push(request.headers.range);
      if (end - first < stallAfter) response.end(content.subarray(first, end + 1));
      else response.write(content.subarray(first, first + stallAfter));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** Runs with the small hub and a cache of its own. */
function run(home: string, ...commandLine: string[]): Promise<Ran> {
  const environment = { HF_ENDPOINT: endpoint, HF_HOME: join(folder, home), HF_TOKEN: "" };
  return runCria(commandLine, { environment });
}

test("pull prints where the model is, list shows it, and it runs without the network by its name", async () => {
  const pulled = await run("pulled", "pull", `hf:${repo}:Q8_0`);
  expect(pulled).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^tiny\.Q8_0\.gguf\n1 file, \d+ kB\n$/),
  });
  expect(readFileSync(pulled.stdout.trimEnd())).toEqual(content);
  const listed = await run("pulled", "list");
  expect(listed.stdout).toMatch(new RegExp(`^hf:${repo}/${fileName}  \\d+ kB\n$`));
  const [model] = JSON.parse((await run("pulled", "list", "--json")).stdout);
  expect(model).toMatchObject({ repo, files: [{ path: fileName, bytes: content.length }], partialBytes: 0 });
  const byName = ["generate", "-m", `hf:${repo}:Q8_0`, "-p", "hello", "-n", "5", "--temp", "0", "--offline"];
  const byPath = ["generate", "-m", join(folder, "tiny.gguf"), "-p", "hello", "-n", "5", "--temp", "0"];
  expect((await run("pulled", ...byName)).stdout).toBe((await run("pulled", ...byPath)).stdout);
});

test("a name that is not here is downloaded when it is run; llama.cpp's -hf names it too", async () => {
  const ran = await run("run", "generate", "-hf", `${repo}:q8_0`, "-p", "hello", "-n", "5", "--temp", "0");
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect((await run("run", "list")).stdout).toContain(fileName);
});

test("inspect looks at a model on the hub without downloading it", async () => {
  const { code, stdout } = await run("looked", "inspect", `hf:${repo}`, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ architecture: "llama", bytes: content.length, problems: [] });
  expect(await run("looked", "list")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: expect.stringContaining("no models"),
  });
});

test("Ctrl-C leaves what has come, list says so, and the next pull goes on from there", async () => {
  stallAfter = 100_000;
  const environment = {
    ...testEnvironment(),
    HF_ENDPOINT: endpoint,
    HF_HOME: join(folder, "cut"),
    HF_TOKEN: "",
  };
  const child = spawn(process.execPath, [mainPath, "pull", `hf:${repo}`], { env: environment });
  const ended = once(child, "close");
  await once(child.stderr, "data");
  await expect
    .poll(async () => (await run("cut", "list")).stdout, { timeout: 20_000 })
    .toContain("unfinished");
  child.kill("SIGINT");
  expect(await ended).toEqual([130, null]);
  stallAfter = Number.POSITIVE_INFINITY;
  const pulled = await run("cut", "pull", `hf:${repo}`);
  expect(pulled.code).toBe(0);
  expect(readFileSync(pulled.stdout.trimEnd())).toEqual(content);
  expect(ranges.at(-1)).toMatch(/^bytes=[1-9]/);
});

test("what is not there, and what is not here when offline", async () => {
  const unknown = await run("wrong", "pull", "hf:someone/other");
  expect(unknown).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^error: someone\/other: /),
  });
  const quantization = await run("wrong", "pull", `hf:${repo}:Q2_K`);
  expect(quantization.stderr).toContain(fileName);
  const offline = await run("wrong", "inspect", `hf:${repo}`, "--offline");
  expect(offline).toMatchObject({ code: 1, stderr: expect.stringContaining("offline") });
  expect((await run("wrong", "pull", "model.gguf")).stderr).toContain("hf:user/repo:QUANT");
});
