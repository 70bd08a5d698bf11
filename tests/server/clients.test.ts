/** The AI SDK and LangChain against a real socket. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI, OpenAI as LangchainCompletion } from "@langchain/openai";
import { generateText, streamText } from "ai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listOf, metric, type Started, start } from "./start.ts";

let server: Started;
let expected: string;

beforeAll(async () => {
  server = await start();
  const messages = [{ role: "user" as const, content: "Hello" }];
  expected = (await server.model.chat(messages, { temperature: 0, maxTokens: 10 }).result()).text;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

it("answers the AI SDK, whole and streamed", async () => {
  const provider = createOpenAICompatible({ name: "cria", baseURL: `${server.url}/v1`, includeUsage: true });
  const options = { model: provider("Tiny"), prompt: "Hello", temperature: 0, maxOutputTokens: 10 };
  const whole = await generateText(options);
  expect(whole.text).toBe(expected);
  expect(whole.finishReason).toBe("length");
  const streamed = streamText(options);
  expect((await listOf(streamed.textStream)).join("")).toBe(expected);
  expect((await streamed.usage).outputTokens).toBe(10);
  await expect(generateText({ ...options, model: provider("other"), maxRetries: 0 })).rejects.toMatchObject({
    statusCode: 404,
  });
});

it("ends what the AI SDK aborts", async () => {
  const provider = createOpenAICompatible({ name: "cria", baseURL: `${server.url}/v1` });
  const before = await metric(server.url, "request_success_total", 'finished_reason="abort"');
  const controller = new AbortController();
  const { textStream } = streamText({
    model: provider("Tiny"),
    prompt: "Hello",
    maxOutputTokens: 450,
    abortSignal: controller.signal,
  });
  let seen = 0;
  for await (const _ of textStream) if (++seen === 3) controller.abort();
  await expect
    .poll(() => metric(server.url, "request_success_total", 'finished_reason="abort"'))
    .toBe(before + 1);
});

it("answers LangChain, whole, streamed and as a completion", async () => {
  const settings = {
    model: "Tiny",
    apiKey: "none",
    maxRetries: 0,
    temperature: 0,
    maxTokens: 10,
    configuration: { baseURL: `${server.url}/v1` },
  };
  const chat = new ChatOpenAI(settings);
  const answer = await chat.invoke("Hello");
  expect(answer.content).toBe(expected);
  expect(answer).toMatchObject({ usage_metadata: { output_tokens: 10 } });
  const pieces = await listOf(await chat.stream("Hello"));
  expect(pieces.map(({ content }) => content).join("")).toBe(expected);
  const completion = await server.model.generate("Hello", { temperature: 0, maxTokens: 10 }).result();
  expect(await new LangchainCompletion(settings).invoke("Hello")).toBe(completion.text);
});
