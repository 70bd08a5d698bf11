/** Vectors of texts, with the clients that ask for them. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { OpenAIEmbeddings } from "@langchain/openai";
import { embedMany } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Started, start } from "./start.ts";

let server: Started;
let client: OpenAI;
const texts = ["ka ki ku", "ma mo mu", "a longer text than the others"];
let expected: number[][];

beforeAll(async () => {
  server = await start();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  expected = (await server.model.embed(texts)).map((vector) => Array.from(vector));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

it("gives openai the vectors of texts and of token ids, as floats and as base64", async () => {
  const input = texts.map((text) => server.model.tokenizer.encode(text, { addSpecial: true }));
  // The client asks for base64 unless told otherwise.
  const bodies = [{ input: texts }, { input: texts, encoding_format: "float" as const }, { input }];
  for (const body of bodies) {
    const { data, usage } = await client.embeddings.create({ model: "Tiny", ...body });
    expect(data.map(({ embedding }) => embedding)).toEqual(expected);
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(usage.prompt_tokens).toBe(input.flat().length);
  }
  const one = await client.embeddings.create({ model: "Tiny", input: texts[1] });
  expect(one.data[0].embedding).toEqual(expected[1]);
  expect(Math.hypot(...one.data[0].embedding)).toBeCloseTo(1, 5);
});

it("gives Ollama's, LangChain's and the AI SDK's clients the same", async () => {
  const ollama = new Ollama({ host: server.url });
  expect((await ollama.embed({ model: "Tiny", input: texts })).embeddings).toEqual(expected);
  expect((await ollama.embeddings({ model: "Tiny", prompt: texts[0] })).embedding).toEqual(expected[0]);
  const langchain = new OpenAIEmbeddings({
    model: "Tiny",
    apiKey: "none",
    configuration: { baseURL: `${server.url}/v1` },
  });
  expect(await langchain.embedDocuments(texts)).toEqual(expected);
  const provider = createOpenAICompatible({ name: "cria", baseURL: `${server.url}/v1` });
  const { embeddings } = await embedMany({ model: provider.embeddingModel("Tiny"), values: texts });
  expect(embeddings).toEqual(expected);
});

it("counts a batch among what runs, and embeds a few of it at a time", async () => {
  await using busy = await start({ queueLimit: 1, parallel: 2 });
  let most = 0;
  let running = 0;
  const { promise: held, resolve: go } = Promise.withResolvers<void>();
  const embed = busy.model.embed.bind(busy.model);
  busy.model.embed = async (inputs, options) => {
    running += inputs.length;
    most = Math.max(most, running);
    await held;
    running -= inputs.length;
    return embed(inputs, options);
  };
  const ask = (path: string, body: object) =>
    fetch(`${busy.url}${path}`, { method: "POST", body: JSON.stringify(body) });
  const batch = ask("/v1/embeddings", { input: [...texts, ...texts] });
  await expect.poll(() => running).toBe(2);
  expect((await ask("/v1/embeddings", { input: "ka" })).status).toBe(429);
  expect((await ask("/v1/completions", { prompt: "ka", max_tokens: 1 })).status).toBe(429);
  go();
  const { data } = (await (await batch).json()) as { data: { embedding: number[] }[] };
  expect(data.map(({ embedding }) => embedding)).toEqual([...expected, ...expected]);
  expect(most).toBe(2);
  expect((await ask("/v1/completions", { prompt: "ka", max_tokens: 1 })).status).toBe(200);
});

it("refuses what it cannot embed", async () => {
  const long = "la ".repeat(2000);
  await expect(client.embeddings.create({ model: "Tiny", input: long })).rejects.toMatchObject({
    status: 400,
    code: "context_length_exceeded",
  });
  await expect(
    client.embeddings.create({ model: "Tiny", input: texts, dimensions: 5 }),
  ).rejects.toMatchObject({
    status: 400,
    param: "dimensions",
  });
  await expect(client.embeddings.create({ model: "Tiny", input: [] })).rejects.toMatchObject({ status: 400 });
  const ollama = new Ollama({ host: server.url });
  expect((await ollama.embed({ model: "Tiny", input: long })).embeddings).toHaveLength(1);
  await expect(ollama.embed({ model: "Tiny", input: long, truncate: false })).rejects.toThrow("context");
  expect(server.errors).toEqual([]);
});
