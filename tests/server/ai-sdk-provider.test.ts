/** The AI SDK's own functions on a model in this process, through our provider. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  cosineSimilarity,
  embed,
  embedMany,
  generateObject,
  generateText,
  Output,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createCria } from "../../src/ai-sdk/index.ts";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { scriptedModel } from "./scripted-model.ts";

let folder = "";
let real: Model;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-ai-sdk-"));
  const path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 2048 });
  real = await loadModel(path, { files: nodeFiles, createDevice: createReferenceDevice, hashFiles });
});
afterAll(async () => {
  real.dispose();
  await rm(folder, { recursive: true, force: true });
});

const City = z.object({
  name: z.string().max(5),
  size: z.enum(["small", "large"]),
  age: z.int().min(0).max(99),
});

describe("text", () => {
  it("generateText gives what the model gives, with usage and reason", async () => {
    const cria = createCria(real);
    const messages = [{ role: "user" as const, content: "hello" }];
    const direct = await real.chat(messages, { temperature: 0, maxTokens: 12 }).result();
    const { text, finishReason, usage, response } = await generateText({
      model: cria(),
      messages,
      temperature: 0,
      maxOutputTokens: 12,
    });
    expect(text).toBe(direct.text);
    expect(finishReason).toBe("length");
    expect(usage).toMatchObject({ inputTokens: direct.promptIds.length, outputTokens: 12 });
    expect(response.modelId).toBe("Tiny");
  });

  it("streamText gives the same in pieces", async () => {
    const options = {
      model: createCria(real)("Tiny"),
      prompt: "hello",
      system: "be brief",
      temperature: 0,
      maxOutputTokens: 30,
    };
    const { text } = await generateText(options);
    const stream = streamText(options);
    const pieces: string[] = [];
    for await (const piece of stream.textStream) pieces.push(piece);
    expect(pieces.join("")).toBe(text);
    expect(pieces.length).toBeGreaterThan(5);
    expect(await stream.finishReason).toBe("length");
    expect((await stream.usage).outputTokens).toBe(30);
  });

  it("stop sequences and seeds", async () => {
    const options = {
      model: createCria(real)(),
      prompt: "hello",
      seed: 4,
      temperature: 1,
      maxOutputTokens: 40,
    };
    const first = await generateText(options);
    expect((await generateText(options)).text).toBe(first.text);
    const stop = first.text.slice(10, 13);
    const cut = await generateText({ ...options, stopSequences: [stop] });
    expect(cut.text).toBe(first.text.slice(0, first.text.indexOf(stop)));
    expect(cut.finishReason).toBe("stop");
  });

  it("aborts, before and in the middle, and the model goes on", async () => {
    const model = createCria(real)();
    await expect(
      generateText({ model, prompt: "x", abortSignal: AbortSignal.abort(), maxRetries: 0 }),
    ).rejects.toMatchObject({ name: "AbortError" });
    const controller = new AbortController();
    const stream = streamText({ model, prompt: "hello", abortSignal: controller.signal });
    let aborted = false;
    let count = 0;
    for await (const part of stream.fullStream) {
      if (part.type === "text-delta" && ++count === 3) controller.abort();
      if (part.type === "abort") aborted = true;
    }
    expect(aborted).toBe(true);
    expect((await generateText({ model, prompt: "hello", maxOutputTokens: 3 })).usage.outputTokens).toBe(3);
  });

  it("tells of an error in the midst of a stream by a part of it", async () => {
    const told: unknown[] = [];
    const prompt = "too long ".repeat(5000);
    const stream = streamText({
      ...{ model: createCria(real)(), prompt, onError: ({ error }) => void told.push(error) },
    });
    const types: string[] = [];
    for await (const { type } of stream.fullStream) types.push(type);
    expect(types).toContain("error");
    expect(told).toMatchObject([{ code: "context-full" }]);
  });

  it("a stream that is left unread comes to its end and frees the model", async () => {
    const stream = streamText({ model: createCria(real)(), prompt: "hello", maxOutputTokens: 100 });
    for await (const _ of stream.textStream) break;
    expect((await real.generate("x", { maxTokens: 2 }).result()).ids.length).toBe(2);
  });
});

describe("objects", () => {
  it("generateObject, streamObject and Output.object keep the schema", async () => {
    const model = createCria(real)();
    for (const seed of [1, 2, 3]) {
      const { object } = await generateObject({ model, schema: City, prompt: "a city", seed });
      expect(City.parse(object)).toEqual(object);
    }
    const stream = streamObject({ model, schema: City, prompt: "a city", seed: 5 });
    let partial: unknown;
    for await (const piece of stream.partialObjectStream) partial = piece;
    expect(City.parse(await stream.object)).toEqual(partial);
    const { output } = await generateText({
      model,
      output: Output.object({ schema: City }),
      prompt: "a city",
      seed: 6,
    });
    expect(City.parse(output)).toEqual(output);
  });

  it("lists, choices, tuples", async () => {
    const model = createCria(real)();
    const list = await generateObject({
      model,
      output: "array",
      schema: z.enum(["a", "b"]),
      prompt: "x",
      seed: 11,
    });
    for (const item of list.object) expect(["a", "b"]).toContain(item);
    const choice = await generateObject({
      model,
      output: "enum",
      enum: ["one", "two"],
      prompt: "x",
      seed: 1,
    });
    expect(["one", "two"]).toContain(choice.object);
    const pair = z.tuple([z.literal("a"), z.boolean()]);
    const { object } = await generateObject({ model, schema: z.object({ pair }), prompt: "x", seed: 1 });
    expect(pair.parse(object.pair)).toEqual(object.pair);
  });

  it("a schema that cannot be kept is an error, not a text without form", async () => {
    const schema = { "~standard": undefined } as never;
    expect(schema).toBeDefined();
    const { jsonSchema } = await import("ai");
    await expect(
      generateObject({
        model: createCria(real)(),
        schema: jsonSchema({ type: "array", uniqueItems: true }),
        prompt: "x",
        maxRetries: 0,
      }),
    ).rejects.toMatchObject({ code: "unsupported" });
  });
});

describe("tools", () => {
  const weather = tool({
    description: "the weather of a city",
    inputSchema: z.object({ city: z.string().max(4) }),
    execute: async ({ city }) => ({ city, sky: "blue" }),
  });

  it("calls are run and their results come back to the model", async () => {
    const prompts: string[] = [];
    const answers = [
      'Let me see. <tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>',
      "It is blue.",
    ];
    const model = createCria(scriptedModel(real, answers, prompts))();
    const result = await generateText({
      model,
      tools: { weather },
      prompt: "sky of Rome?",
      stopWhen: stepCountIs(3),
    });
    expect(result.text).toBe("It is blue.");
    expect(result.steps[0].finishReason).toBe("tool-calls");
    expect(result.steps[0].toolCalls[0]).toMatchObject({ toolName: "weather", input: { city: "Rome" } });
    expect(prompts[0]).toContain("the weather of a city");
    expect(prompts[1]).toContain('{"city":"Rome","sky":"blue"}');
  });

  it("streamed, with two calls at once", async () => {
    const calls =
      '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>\n<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>';
    const stream = streamText({
      model: createCria(scriptedModel(real, [calls, "Both blue."]))(),
      tools: { weather },
      prompt: "x",
      stopWhen: stepCountIs(3),
    });
    const types: string[] = [];
    for await (const part of stream.fullStream) if (types.at(-1) !== part.type) types.push(part.type);
    expect(await stream.text).toBe("Both blue.");
    const [first] = await stream.steps;
    expect(first.toolResults.map(({ output }) => output)).toEqual([
      { city: "Rome", sky: "blue" },
      { city: "Oslo", sky: "blue" },
    ]);
    expect(types).toEqual(
      expect.arrayContaining([
        "tool-input-start",
        "tool-input-delta",
        "tool-input-end",
        "tool-call",
        "tool-result",
      ]),
    );
  });

  it("toolChoice required makes a model that knows nothing call a tool", async () => {
    const { toolCalls, finishReason } = await generateText({
      model: createCria(real)(),
      tools: { weather },
      toolChoice: "required",
      prompt: "x",
      seed: 3,
    });
    expect(toolCalls).toHaveLength(1);
    expect(toolCalls[0]).toMatchObject({ toolName: "weather", input: { city: expect.any(String) } });
    expect(finishReason).toBe("tool-calls");
  });

  it("objects with tools: a call or the object", async () => {
    const { steps } = await generateText({
      model: createCria(real)(),
      tools: { weather },
      output: Output.object({ schema: City }),
      prompt: "x",
      seed: 8,
    });
    const [{ toolCalls, text }] = steps;
    if (toolCalls.length === 0) expect(City.parse(JSON.parse(text))).toBeDefined();
    else expect(toolCalls[0].toolName).toBe("weather");
  });
});

it("embeddings, the same as the model's own", async () => {
  const model = createCria(real).embeddingModel();
  const values = ["hello", "hello world", "a city"];
  const { embeddings, usage } = await embedMany({ model, values });
  expect(embeddings).toEqual((await real.embed(values)).map((vector) => Array.from(vector)));
  expect(cosineSimilarity(embeddings[0], embeddings[0])).toBeCloseTo(1, 5);
  expect(usage.tokens).toBe(values.reduce((sum, value) => sum + real.promptOf(value).ids.length, 0));
  expect((await embed({ model, value: "a city" })).embedding).toEqual(embeddings[2]);
  await expect(
    embed({ model, value: "x", abortSignal: AbortSignal.abort(), maxRetries: 0 }),
  ).rejects.toMatchObject({ name: "AbortError" });
});

it("models by id, and what there is not", () => {
  const cria = createCria({ small: real });
  expect(cria("small").modelId).toBe("small");
  expect(cria.languageModel().modelId).toBe("small");
  expect(() => cria("big")).toThrow(expect.objectContaining({ code: "not-found" }));
  expect(() => cria.embeddingModel("big")).toThrow(expect.objectContaining({ code: "not-found" }));
  expect(() => cria.imageModel("small")).toThrow(expect.objectContaining({ code: "unsupported" }));
});
