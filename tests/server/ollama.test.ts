/** The `ollama` package against a real socket. */
import { Ollama } from "ollama";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listOf, type Started, start } from "./start.ts";

let server: Started;
let client: Ollama;

beforeAll(async () => {
  server = await start({ details: { byteLength: 123, quantization: "F32", fileFormat: "gguf" } });
  client = new Ollama({ host: server.url });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const messages = [{ role: "user", content: "Say something" }];
const options = { temperature: 0, num_predict: 10, repeat_penalty: 1 };

it("chats, whole and streamed, with times in nanoseconds", async () => {
  const expected = await server.model
    .chat([{ role: "user", content: "Say something" }], { temperature: 0, maxTokens: 10 })
    .result();
  const started = performance.now();
  const whole = await client.chat({ model: "Tiny", messages, options });
  const elapsed = (performance.now() - started) * 1e6;
  expect(whole).toMatchObject({
    model: "Tiny",
    message: { role: "assistant", content: expected.text },
    done: true,
    done_reason: "length",
    prompt_eval_count: expected.promptIds.length,
    eval_count: 10,
  });
  expect(whole.total_duration).toBeGreaterThan(0);
  expect(whole.total_duration).toBeLessThan(elapsed);
  expect(whole.eval_duration).toBeLessThanOrEqual(whole.total_duration);
  const parts = await listOf(await client.chat({ model: "Tiny:latest", messages, options, stream: true }));
  expect(parts.map(({ message }) => message.content).join("")).toBe(expected.text);
  expect(parts.map(({ done }) => done)).toEqual([...parts.slice(1).map(() => false), true]);
});

it("answers a prompt: through the chat template, raw, and continued from a context", async () => {
  const expected = await server.model
    .chat([{ role: "user", content: "ka ki" }], { temperature: 0, maxTokens: 10 })
    .result();
  const first = await client.generate({ model: "Tiny", prompt: "ka ki", options });
  expect(first.response).toBe(expected.text);
  expect(first.context).toEqual([...expected.promptIds, ...expected.ids]);
  const raw = await client.generate({ model: "Tiny", prompt: "ka ki", raw: true, options });
  const continued = await server.model.generate("ka ki", { temperature: 0, maxTokens: 10 }).result();
  expect(raw.response).toBe(continued.text);
  const next = await client.generate({ model: "Tiny", prompt: "ma", context: first.context, options });
  expect(next.prompt_eval_count).toBeGreaterThan(first.context.length);
  let text = "";
  for await (const { response } of await client.generate({
    model: "Tiny",
    prompt: "ka ki",
    options,
    stream: true,
  }))
    text += response;
  expect(text).toBe(expected.text);
});

it("loads a model that is there, and says which ones are", async () => {
  expect(await client.generate({ model: "Tiny", prompt: "" })).toMatchObject({
    done: true,
    done_reason: "load",
  });
  const { models } = await client.list();
  expect(models).toMatchObject([{ name: "Tiny:latest", size: 123, digest: await server.model.hash() }]);
  expect((await client.ps()).models).toMatchObject([{ name: "Tiny:latest" }]);
  expect(await client.show({ model: "Tiny" })).toMatchObject({
    details: { family: "llama", quantization_level: "F32", format: "gguf" },
    model_info: { "llama.context_length": 512 },
  });
  expect(await client.version()).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  expect(await (await fetch(server.url)).text()).toBe("Ollama is running");
});

it("reports errors as Ollama does", async () => {
  await expect(client.chat({ model: "other", messages })).rejects.toMatchObject({ status_code: 404 });
  const response = await fetch(`${server.url}/api/chat`, {
    method: "POST",
    body: JSON.stringify({ model: "Tiny", messages, options: { mirostat: 2 } }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ error: expect.stringContaining("options.mirostat") });
  await expect(
    client.chat({ model: "Tiny", messages: [{ ...messages[0], images: ["AA=="] }] }),
  ).rejects.toThrow("images");
});

it("stops when the client aborts", async () => {
  const stream = await client.chat({ model: "Tiny", messages, stream: true });
  let seen = 0;
  await expect(async () => {
    for await (const _ of stream) if (++seen === 2) stream.abort();
  }).rejects.toThrow(/abort/i);
  await expect
    .poll(
      async () =>
        /cria:num_requests_running\{[^}]*\} (\d+)/.exec(
          await (await fetch(`${server.url}/metrics`)).text(),
        )?.[1],
    )
    .toBe("0");
});

it("what the model's maker recommends comes before Ollama's defaults, and is shown", async () => {
  await using calm = await start({ tiny: { sampling: { temperature: 0, topP: 0.5, repeatPenalty: 1 } } });
  const ask = new Ollama({ host: calm.url });
  const expected = await calm.model.generate("ka ki", { temperature: 0, maxTokens: 10 }).result();
  const request = { model: "Tiny", prompt: "ka ki", raw: true } as const;
  const answer = await ask.generate({ ...request, options: { num_predict: 10, seed: 1 } });
  expect(answer.response).toBe(expected.text);
  const hot = await ask.generate({
    ...request,
    options: { num_predict: 10, seed: 1, temperature: 2, top_p: 1 },
  });
  expect(hot.response).not.toBe(expected.text);
  const { data } = (await (await fetch(`${calm.url}/v1/models`)).json()) as { data: readonly unknown[] };
  expect(data).toMatchObject([{ meta: { sampling: { temperature: 0, top_p: 0.5, repeat_penalty: 1 } } }]);
  expect((await ask.show({ model: "Tiny" })).parameters).toMatch(
    /^temperature +0\ntop_p +0\.5\nrepeat_penalty +1$/,
  );
});
