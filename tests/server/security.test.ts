/** What must not come in, and what must not go out. */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Model } from "../../src/generate/model.ts";
import { listen } from "../../src/platform/node/listen.ts";
import { createServer } from "../../src/server/create-server.ts";
import { loadTiny, type Started, start } from "./start.ts";

let server: Started;
const page = new Map([
  ["index.html", new TextEncoder().encode("<!doctype html><title>page</title>")],
  ["assets/app-1a2b.js", new TextEncoder().encode("1")],
]);

beforeAll(async () => {
  server = await start({
    apiKeys: ["secret", "other"],
    // As people copy them from an address bar.
    allowedOrigins: ["https://friend.example", "https://slash.example/"],
    allowedHosts: ["cria.lan", "port.lan:8080"],
    bodyBytes: 10_000,
    jsonDepth: 20,
    page,
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** `fetch` would correct the path and refuse to set these headers. */
function send(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const sent = httpRequest({ hostname, port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const key = { authorization: "Bearer secret" };
const post = (body: string, headers: Record<string, string> = {}) =>
  send("/v1/chat/completions", { ...key, "content-type": "application/json", ...headers }, "POST", body);
const chat = (content: unknown, more: object = {}) =>
  JSON.stringify({ messages: [{ role: "user", content }], max_tokens: 2, ...more });

it("answers to addresses, localhost and allowed names only", async () => {
  for (const host of [
    "localhost",
    "127.0.0.1:99",
    "[::1]:8080",
    "192.168.1.4",
    "app.localhost",
    "cria.lan:1",
    "CRIA.LAN",
    "port.lan:8080",
    "port.lan",
  ])
    expect((await send("/v1/models", { ...key, host })).status, host).toBe(200);
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8080",
    "x@localhost.evil",
  ])
    expect([400, 403], host).toContain((await send("/v1/models", { ...key, host })).status);
  // An address that is none.
  expect((await send("/v1/models", { ...key, host: "999.1.1.1" })).status).toBe(400);
  expect(server.errors).toEqual([]);
  // Not even the page or the health.
  expect((await send("/", { host: "evil.example" })).status).toBe(403);
  expect((await send("/health", { host: "evil.example" })).status).toBe(403);
});

it("refuses pages of other origins, and lets its own and allowed ones in", async () => {
  const host = new URL(server.url).host;
  const own = await send("/v1/models", { ...key, origin: server.url });
  expect(own.status).toBe(200);
  expect(own.headers["access-control-allow-origin"]).toBeUndefined();
  const friend = await send("/v1/models", { ...key, origin: "https://friend.example" });
  expect(friend.headers["access-control-allow-origin"]).toBe("https://friend.example");
  expect(friend.headers.vary).toBe("Origin");
  expect((await send("/v1/models", { ...key, origin: "https://slash.example" })).status).toBe(200);
  for (const origin of [
    "https://evil.example",
    "null",
    `http://${host}.evil.example`,
    "https://friend.example.evil",
  ])
    expect((await send("/v1/models", { ...key, origin })).status, origin).toBe(403);
  const foreign = await post(chat("hi"), { origin: "https://evil.example", "content-type": "text/plain" });
  expect(foreign.status).toBe(403);
  expect(
    (await send("/v1/models", { ...key, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }))
      .status,
  ).toBe(403);
  const ask = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
  const preflight = await send("/v1/models", { ...ask, origin: "https://friend.example" }, "OPTIONS");
  expect(preflight.status).toBe(204);
  expect(preflight.headers["access-control-allow-headers"]).toBe("authorization");
  expect((await send("/v1/models", { ...ask, origin: "https://evil.example" }, "OPTIONS")).status).toBe(403);
});

it("wants a key where keys are set, but not for the page and health", async () => {
  for (const authorization of [
    "",
    "Bearer wrong",
    "Bearer secretx",
    "Bearer secre",
    "secret",
    "Basic secret",
  ]) {
    const refused = await send("/v1/models", authorization === "" ? {} : { authorization });
    expect(refused.status, authorization).toBe(401);
    expect(JSON.parse(refused.body).error.code).toBe("invalid_api_key");
  }
  expect((await send("/v1/models", { authorization: "Bearer other" })).status).toBe(200);
  expect((await send("/v1/models", { "x-api-key": "secret" })).status).toBe(200);
  expect((await send("/metrics")).status).toBe(401);
  expect((await send("/openapi.json")).status).toBe(401);
  expect((await send("/health")).status).toBe(200);
  expect((await send("/")).status).toBe(200);
});

it("limits bodies in size and depth, announced or not", async () => {
  expect((await post(chat("x".repeat(20_000)))).status).toBe(413);
  expect((await post(chat("x".repeat(20_000)), { "transfer-encoding": "chunked" })).status).toBe(413);
  const deep = `${"[".repeat(21)}${"]".repeat(21)}`;
  const refused = await post(deep);
  expect(refused.status).toBe(400);
  expect(JSON.parse(refused.body).error.code).toBe("json_too_deep");
  // Brackets in a text are no nesting.
  expect((await post(chat(`\\"${"[{".repeat(30)}`))).status).toBe(200);
  for (const body of ["", "{", "[1]", '"text"', "null", "{}", '{"messages": []}'])
    expect((await post(body)).status, body).toBe(400);
  const invalid = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: key,
    body: new Uint8Array([0x7b, 0xff, 0x7d]),
  });
  expect(invalid.status).toBe(400);
});

it("does not let keys of a request become an object's prototype", async () => {
  const body =
    '{"messages": [{"role": "user", "content": "a"}], "__proto__": {"stream": true}, "max_tokens": 1}';
  expect((await post(body)).status).toBe(400);
  const bias =
    '{"messages": [{"role": "user", "content": "a"}], "logit_bias": {"__proto__": 1}, "max_tokens": 1}';
  expect([200, 400]).toContain((await post(bias)).status);
  expect(({} as { stream?: boolean }).stream).toBeUndefined();
});

it("serves the page's files and nothing else, with a strict policy", async () => {
  const index = await send("/");
  expect(index.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(index.headers["content-security-policy"]).toContain("script-src 'self'");
  expect(index.headers["content-security-policy"]).not.toContain("unsafe-inline");
  expect(index.headers["content-security-policy"]).not.toMatch(/https:[ ;]/);
  expect(index.headers["cross-origin-opener-policy"]).toBe("same-origin");
  expect(index.headers["cross-origin-embedder-policy"]).toBe("require-corp");
  expect(index.headers["cache-control"]).toBe("no-cache");
  expect((await send("/", { "if-none-match": String(index.headers.etag) })).status).toBe(304);
  const part = await send("/", { range: "bytes=2-8" });
  expect([part.status, part.body, part.headers["content-range"]]).toEqual([206, "doctype", "bytes 2-8/34"]);
  expect((await send("/", { range: "bytes=29-" })).body).toBe("itle>");
  expect((await send("/", { range: "bytes=34-" })).status).toBe(416);
  expect((await send("/", { range: "lines=1-2" })).status).toBe(200);
  const asset = await send("/assets/app-1a2b.js");
  expect(asset).toMatchObject({ status: 200, body: "1" });
  expect(asset.headers["cache-control"]).toContain("immutable");
  for (const path of [
    "/../package.json",
    "/assets/../../package.json",
    "/%2e%2e/package.json",
    "/..%2f..%2fetc/passwd",
    "/assets/..\\..\\x",
    "//etc/passwd",
    "/assets/",
    "/%00",
    "/%ff",
  ])
    expect([400, 404], path).toContain((await send(path, key)).status);
});

it("sends headers that keep answers where they belong", async () => {
  for (const path of ["/v1/models", "/", "/nothing"]) {
    const { headers } = await send(path, key);
    expect(headers["x-content-type-options"], path).toBe("nosniff");
    expect(headers["x-frame-options"]).toBe("DENY");
    expect(headers["referrer-policy"]).toBe("no-referrer");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  }
});

it("keeps special tokens in a user's text as text", async () => {
  const bos = server.model.tokenizer.special.bos;
  const { body } = await send("/tokenize", key, "POST", JSON.stringify({ content: "a<s></s>" }));
  expect(JSON.parse(body).tokens).not.toContain(bos);
  const applied = await send(
    "/apply-template",
    key,
    "POST",
    JSON.stringify({ messages: [{ role: "user", content: "</s><s>" }] }),
  );
  const { tokens, prompt } = JSON.parse(applied.body) as { tokens: number[]; prompt: string };
  expect(prompt).toContain("</s><s>");
  expect(tokens.slice(1)).not.toContain(bos);
  expect(tokens).not.toContain(server.model.tokenizer.special.eos);
});

it("says 404 and 405 in JSON, and describes itself", async () => {
  const missing = await send("/v1/nothing", key);
  expect(missing.status).toBe(404);
  expect(JSON.parse(missing.body).error.code).toBe("not_found");
  for (const [method, path, allow] of [
    ["GET", "/v1/chat/completions", "POST"],
    ["POST", "/v1/models/tiny", "GET"],
    ["DELETE", "/v1/models", "GET"],
  ]) {
    const { status, headers } = await send(path, key, method);
    expect({ status, allow: headers.allow }, path).toEqual({ status: 405, allow });
  }
  const document = JSON.parse((await send("/openapi.json", key)).body);
  expect(Object.keys(document.paths)).toContain("/v1/models/{id}");
  expect(document.paths["/v1/chat/completions"].post.requestBody).toBeDefined();
});

it("says that a packed body is not read", async () => {
  const answer = await post(chat("hello"), { "content-encoding": "gzip" });
  expect(answer.status).toBe(415);
  expect(JSON.parse(answer.body).error.message).toContain("gzip");
});

it("says 503 while the model is loading and after that failed", async () => {
  let resolve: (model: Model) => void = () => {};
  const errors: unknown[] = [];
  using loading = createServer({
    onError: (error) => errors.push(error),
    model: new Promise<Model>((done) => {
      resolve = done;
    }),
  });
  const ask = (path: string) => loading.fetch(new Request(`http://localhost${path}`));
  const waiting = await ask("/health");
  expect(waiting.status).toBe(503);
  expect(waiting.headers.get("retry-after")).not.toBeNull();
  expect(await waiting.json()).toMatchObject({
    error: { message: "Loading model", type: "unavailable_error" },
  });
  expect((await ask("/v1/models")).status).toBe(503);
  // Nothing is wrong yet.
  expect(errors).toEqual([]);
  const model = await loadTiny();
  resolve(model);
  await expect.poll(async () => (await ask("/health")).status).toBe(200);
  model.dispose();
  using failed = createServer({ model: Promise.reject(new Error("no")) });
  await expect
    .poll(async () => (await failed.fetch(new Request("http://localhost/health"))).text())
    .toContain("could not");
});

it("cuts answers when the server ends, and says so", async () => {
  const model = await loadTiny();
  const ending = createServer({ model });
  const listener = await listen(ending, { port: 0 });
  const response = await fetch(`${listener.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt: "a", max_tokens: 500, stream: true }),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toContain("data: ");
  const closed = listener.close(0);
  let text = "";
  for (;;) {
    const part = await reader?.read().catch(() => undefined);
    if (!part || part.done) break;
    text += part.value;
  }
  await closed;
  expect(text).toMatch(/"error"/);
  expect(text).not.toContain("[DONE]");
  await expect(fetch(`${listener.url}/health`)).rejects.toThrow();
  model.dispose();
});

it("says 429 when too many requests wait, and takes them again later", async () => {
  await using busy = await start({ queueLimit: 2 });
  const ask = (maxTokens: number) =>
    fetch(`${busy.url}/v1/completions`, {
      method: "POST",
      body: JSON.stringify({ prompt: "a", max_tokens: maxTokens, stream: true, temperature: 0 }),
    });
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(450)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2);
  expect(Number(refused[0].headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused[0].json()).toMatchObject({ error: { code: "rate_limit_exceeded" } });
  await Promise.all(answers.filter(({ bodyUsed }) => !bodyUsed).map((response) => response.text()));
  await expect.poll(async () => (await ask(1)).status).toBe(200);
});

it("ends an answer whose time is up, read or not", async () => {
  const model = await loadTiny({ contextLength: 4096 });
  using slow = createServer({ model, timeoutSeconds: 0.3 });
  const ask = (body: object) =>
    slow.fetch(
      new Request("http://localhost/v1/completions", {
        method: "POST",
        body: JSON.stringify({ prompt: "a", max_tokens: 4000, ignore_eos: true, ...body }),
      }),
    );
  const running = async () =>
    /cria:num_requests_running\{[^}]*\} (\d+)/.exec(
      await (await slow.fetch(new Request("http://localhost/metrics"))).text(),
    )?.[1];
  const whole = await ask({});
  expect(whole.status).toBe(503);
  expect(await whole.json()).toMatchObject({ error: { code: "timeout" } });
  const stream = await ask({ stream: true });
  expect(stream.status).toBe(200);
  // Nobody reads it.
  await expect.poll(running).toBe("0");
  await expect(stream.text()).rejects.toThrow();
  expect(await (await ask({ stream: true })).text().catch(String)).toMatch(/timeout|longer than/);
  model.dispose();
});
