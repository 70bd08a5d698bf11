/** `cria serve` as a process: what it prints, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { writeTinyModel } from "../tiny-model.ts";

let folder: string;
let model: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-serve-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model, { contextLength: 4096 });
});
afterAll(() => rm(folder, { recursive: true }));

const children: ChildProcess[] = [];
afterEach(() => {
  // A test that failed in the midst leaves its server behind.
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A running `cria serve` and its address. */
async function serve(...more: string[]) {
  const program = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");
  const child = spawn(process.execPath, [program, "serve", model, "--port", "0", "--no-page", ...more], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, CRIA_API_KEY: "" },
  });
  children.push(child);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  const failed = ended.then(([code]) => {
    throw new Error(`cria serve ended with ${code}: ${errors}`);
  });
  const line = once(createInterface(child.stdout), "line") as Promise<[string]>;
  const [url] = await Promise.race([line, failed]);
  failed.catch(() => {});
  return { child, url, ended, errors: () => errors };
}

function stream(url: string, maxTokens: number): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt: "a", max_tokens: maxTokens, stream: true, ignore_eos: true }),
  });
}

it("prints where it listens and ends at once when nothing is going on", async () => {
  const { child, url, ended, errors } = await serve("--alias", "mine");
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  await expect.poll(errors).toContain("/v1/chat/completions");
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  expect(list.data[0].id).toBe("mine");
  for (const name of ["mine", "Tiny", "tiny.gguf", "default"])
    expect((await fetch(`${url}/v1/models/${name}`)).status, name).toBe(200);
  child.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
});

it("lets answers end after the first signal", async () => {
  const { child, url, ended } = await serve();
  const response = await stream(url, 1000);
  child.kill("SIGTERM");
  expect(await response.text()).toContain("[DONE]");
  expect(await ended).toEqual([0, null]);
});

it("cuts answers after the grace, and says so in the stream", async () => {
  const { child, url, ended } = await serve("--grace", "0");
  const response = await stream(url, 4000);
  child.kill("SIGTERM");
  const text = await response.text().catch(String);
  expect(text).not.toContain("[DONE]");
  expect(await ended).toEqual([0, null]);
});

it.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)("ends at %s while it loads its model", async (signal, code) => {
  // A hub that never answers.
  const hub = createServer(() => {});
  await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  const program = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");
  const command = [program, "serve", "hf:someone/model:Q8_0", "--port", String(port), "--no-page"];
  const child = spawn(process.execPath, command, {
    stdio: "ignore",
    env: {
      ...process.env,
      CRIA_API_KEY: "",
      HF_ENDPOINT: endpoint,
      HF_HOME: join(folder, "hub"),
      HF_TOKEN: "",
    },
  });
  children.push(child);
  const ended = once(child, "exit");
  const status = () =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(status, { timeout: 20_000 }).toBe(503);
  child.kill(signal);
  expect(await ended).toEqual([code, null]);
  hub.closeAllConnections();
  hub.close();
});

it("wants the key that it is given", async () => {
  const { child, url, ended } = await serve("--api-key", "k1", "--api-key", "k2");
  expect((await fetch(`${url}/v1/models`)).status).toBe(401);
  for (const key of ["k1", "k2"])
    expect((await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(
      200,
    );
  child.kill("SIGINT");
  await ended;
});

it("says what is wrong with a port in use and with a model that is not there", async () => {
  const first = await serve();
  const port = new URL(first.url).port;
  const program = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");
  const run = async (...given: string[]) => {
    const child = spawn(process.execPath, [program, "serve", ...given], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    const [code] = await once(child, "close");
    return { code, text };
  };
  expect(await run(model, "--port", port)).toMatchObject({
    code: 1,
    text: expect.stringContaining("another program listens there"),
  });
  const missing = await run(join(folder, "no.gguf"), "--port", "0");
  expect(missing.code).toBe(1);
  expect(missing.text).toContain("no.gguf");
  first.child.kill("SIGINT");
  await first.ended;
});
