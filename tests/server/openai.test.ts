/** The `openai` package against a real socket. */
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listOf, metric, type Started, start } from "./start.ts";

let server: Started;
let client: OpenAI;

beforeAll(async () => {
  server = await start();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const messages = [{ role: "user" as const, content: "Say something" }];
const greedy = { model: "Tiny", temperature: 0, max_tokens: 12 };

it("answers a conversation, whole and streamed, with the text that the SDK makes", async () => {
  const expected = await server.model.chat(messages, { temperature: 0, maxTokens: 12 }).result();
  const whole = await client.chat.completions.create({ ...greedy, messages });
  expect(whole.choices[0].message).toMatchObject({ role: "assistant", content: expected.text });
  expect(whole.choices[0].finish_reason).toBe("length");
  expect(whole.usage).toMatchObject({
    prompt_tokens: expected.promptIds.length,
    completion_tokens: 12,
    total_tokens: expected.promptIds.length + 12,
  });

  const stream = await client.chat.completions.create({
    ...greedy,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await listOf(stream);
  expect(chunks[0].choices[0].delta).toMatchObject({ role: "assistant" });
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe(expected.text);
  expect(chunks.at(-2)?.choices[0].finish_reason).toBe("length");
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
});

it("makes n choices, each the one that its seed alone would give", async () => {
  const body = { model: "default", messages, max_tokens: 8, temperature: 1, n: 3, seed: 7 };
  const { choices } = await client.chat.completions.create(body);
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  for (const [i, choice] of choices.entries()) {
    const single = await client.chat.completions.create({ ...body, n: 1, seed: 7 + i });
    expect(choice.message.content).toBe(single.choices[0].message.content);
  }
  expect(new Set(choices.map(({ message }) => message.content)).size).toBe(3);
  const texts = ["", "", ""];
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true }))
    for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? "";
  expect(texts).toEqual(choices.map(({ message }) => message.content));
});

it("reports log-probabilities of the chosen token and of alternatives", async () => {
  const { choices } = await client.chat.completions.create({
    ...greedy,
    messages,
    logprobs: true,
    top_logprobs: 3,
  });
  const tokens = choices[0].logprobs?.content ?? [];
  expect(tokens).toHaveLength(12);
  for (const { token, logprob, bytes, top_logprobs: top } of tokens) {
    expect(logprob).toBeLessThanOrEqual(0);
    // Greedy: the chosen token is the likeliest.
    expect(top).toHaveLength(3);
    expect(top[0]).toMatchObject({ token, logprob });
    expect(top[1].logprob).toBeLessThanOrEqual(top[0].logprob);
    expect(new TextDecoder().decode(Uint8Array.from(bytes ?? []))).toBe(token);
  }
  expect(
    tokens
      .map(({ token }) => token)
      .join("")
      .trim(),
  ).toBe(choices[0].message.content?.trim());
});

it("obeys stop, logit_bias and a seed", async () => {
  const whole = await client.chat.completions.create({ ...greedy, messages });
  const text = whole.choices[0].message.content ?? "";
  const stop = text.slice(5, 8);
  const stopped = await client.chat.completions.create({ ...greedy, messages, stop: [stop] });
  expect(stopped.choices[0]).toMatchObject({
    finish_reason: "stop",
    message: { content: text.slice(0, text.indexOf(stop)) },
  });
  const id = server.model.tokenizer.idOf("▁ka") ?? 0;
  const biased = await client.chat.completions.create({ ...greedy, messages, logit_bias: { [id]: 100 } });
  expect(biased.choices[0].message.content?.trim()).toMatch(/^(ka ?)+$/);
  const random = { model: "Tiny", messages, max_tokens: 8, temperature: 1.5 };
  const [a, b, c] = await Promise.all(
    [3, 3, 4].map((seed) => client.chat.completions.create({ ...random, seed })),
  );
  expect(a.choices[0].message.content).toBe(b.choices[0].message.content);
  expect(a.choices[0].message.content).not.toBe(c.choices[0].message.content);
});

it("continues texts and token ids, in batches, streamed and with echo", async () => {
  const prompts = ["ka ki", "ma mo mu"];
  const expected = await Promise.all(
    prompts.map((prompt) => server.model.generate(prompt, { temperature: 0, maxTokens: 6 }).result()),
  );
  const batch = await client.completions.create({
    model: "Tiny",
    prompt: prompts,
    temperature: 0,
    max_tokens: 6,
  });
  expect(batch.choices.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
  const ids = prompts.map((prompt) => server.model.tokenizer.encode(prompt, { addSpecial: true }));
  const fromIds = await client.completions.create({
    model: "Tiny",
    prompt: ids,
    temperature: 0,
    max_tokens: 6,
    echo: true,
  });
  expect(fromIds.choices.map(({ text }) => text)).toEqual(expected.map(({ text }, i) => prompts[i] + text));
  const one = await client.completions.create({
    model: "Tiny",
    prompt: ids[0],
    temperature: 0,
    max_tokens: 6,
    n: 2,
  });
  expect(one.choices.map(({ text }) => text)).toEqual([expected[0].text, expected[0].text]);
  const texts = ["", ""];
  const stream = await client.completions.create({
    model: "Tiny",
    prompt: prompts,
    temperature: 0,
    max_tokens: 6,
    stream: true,
    echo: true,
  });
  for await (const { choices } of stream) for (const { index, text } of choices) texts[index] += text;
  expect(texts).toEqual(expected.map(({ text }, i) => prompts[i] + text));
});

it("scores a prompt as lm-eval asks for it", async () => {
  const ids = server.model.tokenizer.encode("ka ki ku ma", { addSpecial: true });
  const asked = { model: "Tiny", max_tokens: 1, temperature: 0, logprobs: 1, echo: true, seed: 1234 };
  const { choices } = await client.completions.create({ ...asked, prompt: [ids, ids] });
  expect(choices).toHaveLength(2);
  const { promptLogProbabilities } = await server.model
    .generate(ids, { maxTokens: 1, promptLogProbabilities: true })
    .result();
  for (const { logprobs, text } of choices) {
    expect(logprobs?.token_logprobs).toHaveLength(ids.length + 1);
    expect(logprobs?.token_logprobs?.[0]).toBeNull();
    expect(logprobs?.token_logprobs?.slice(1, -1)).toEqual(promptLogProbabilities?.slice(1));
    // The harness takes a token for greedy when it is the largest of its top log-probabilities.
    for (const [at, top] of (logprobs?.top_logprobs ?? []).entries()) {
      if (at === 0) continue;
      const most = Math.max(...Object.values(top));
      expect(logprobs?.token_logprobs?.[at]).toBeLessThanOrEqual(most);
      expect(Object.values(top)).toContain(logprobs?.token_logprobs?.[at]);
    }
    expect(logprobs?.tokens?.join("").replace("<s>", "").trim()).toBe(text.trim());
    expect(logprobs?.text_offset?.[0]).toBe(0);
  }
  // A chunked answer says the same.
  const stream = await client.completions.create({ ...asked, prompt: ids, stream: true });
  const chunks = await listOf(stream);
  const scored = chunks.find(({ choices: [choice] }) => choice?.logprobs);
  expect(scored?.choices[0].logprobs?.token_logprobs).toEqual(choices[0].logprobs?.token_logprobs);
});

it("lists and describes the model", async () => {
  const list = await listOf(await client.models.list());
  expect(list.map(({ id }) => id)).toEqual(["Tiny"]);
  expect(await client.models.retrieve("Tiny")).toMatchObject({ id: "Tiny", object: "model" });
  await expect(client.models.retrieve("other/model")).rejects.toMatchObject({ status: 404 });
});

it("explains what is wrong with a request", async () => {
  const refusal = async (body: object) => {
    const { error, status, code, param } = await client.chat.completions
      .create({ ...greedy, messages, ...body } as never)
      .then(
        () => ({}) as never,
        (failure) => failure,
      );
    return { status, code, param, message: (error as { message: string })?.message };
  };
  expect(await refusal({ model: "gpt-4" })).toMatchObject({ status: 404, code: "model_not_found" });
  expect(await refusal({ colour: 1 })).toMatchObject({
    status: 400,
    param: "colour",
    code: "unknown_parameter",
  });
  expect(await refusal({ temperature: "hot" })).toMatchObject({ status: 400, param: "temperature" });
  expect(await refusal({ mirostat: 2 })).toMatchObject({ status: 400, param: "mirostat" });
  expect(await refusal({ messages: [{ role: "user", content: [{ type: "image_url" }] }] })).toMatchObject({
    status: 400,
    param: "messages[0].content[0].type",
  });
  expect(await refusal({ messages: [{ role: "user", content: "la ".repeat(600) }] })).toMatchObject({
    status: 400,
    code: "context_length_exceeded",
  });
  // What came fits none of several forms: then the message says which there are.
  for (const [field, body] of Object.entries({
    "messages[0].content": { messages: [{ role: "user", content: 1 }] },
    stop: { stop: 5 },
    tool_choice: { tool_choice: "any" },
  }))
    expect((await refusal(body)).message, field).toMatch(`${field}: expected`);
  expect(await refusal({ logit_bias: { 1e9: 1 } })).toMatchObject({ status: 400 });
  expect(await refusal({ top_logprobs: 2 })).toMatchObject({ status: 400, param: "top_logprobs" });
  await expect(client.completions.create({ model: "Tiny", prompt: "a", suffix: "b" })).rejects.toMatchObject({
    status: 400,
    param: "suffix",
  });
  await expect(client.completions.create({ model: "Tiny", prompt: [1, 999_999] })).rejects.toMatchObject({
    status: 400,
    param: "prompt",
  });
});

it("takes nulls for absent fields below the top level, and leaves those of schemas", async () => {
  const body = {
    ...greedy,
    messages: [{ role: "user", content: "hi", name: null, tool_calls: null }],
    stream: true,
    stream_options: { include_usage: null },
    response_format: {
      type: "json_schema",
      json_schema: { name: "x", strict: null, schema: { enum: [null] } },
    },
  };
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ ...body, stream: false, stream_options: null }),
  });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: "null" } }] });
  const streamed = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  expect([streamed.status, (await streamed.text()).includes("null")]).toEqual([200, true]);
});

it("takes nulls for absent fields, and fields that change nothing", async () => {
  const answer = await client.chat.completions.create({
    ...greedy,
    messages,
    stop: null,
    seed: null,
    user: "me",
    store: false,
    metadata: { a: "b" },
    mirostat: 0,
  } as never);
  expect(answer).toMatchObject({ object: "chat.completion" });
});

it("stops making tokens when the client leaves", async () => {
  const before = await metric(server.url, "generation_tokens_total");
  const aborted = await metric(server.url, "request_success_total", 'finished_reason="abort"');
  const stream = await client.chat.completions.create({
    model: "Tiny",
    messages,
    max_tokens: 400,
    stream: true,
  });
  let seen = 0;
  for await (const _ of stream) if (++seen === 3) break;
  await expect
    .poll(() => metric(server.url, "request_success_total", 'finished_reason="abort"'))
    .toBe(aborted + 1);
  expect((await metric(server.url, "generation_tokens_total")) - before).toBeLessThan(300);
  expect(await metric(server.url, "num_requests_running")).toBe(0);

  const controller = new AbortController();
  const whole = client.chat.completions.create(
    { model: "Tiny", messages, max_tokens: 450 },
    { signal: controller.signal },
  );
  setTimeout(() => controller.abort(), 20);
  await expect(whole).rejects.toThrow();
  await expect
    .poll(() => metric(server.url, "request_success_total", 'finished_reason="abort"'))
    .toBe(aborted + 2);
});

it("kept its own faults to none", () => {
  expect(server.errors).toEqual([]);
});
