/** Tools and schemas, with the clients that apps use for them. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { HumanMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { Ajv } from "ajv";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import type { Model } from "../../src/generate/model.ts";
import { type Listener, listen } from "../../src/platform/node/listen.ts";
import { createServer } from "../../src/server/create-server.ts";
import { scriptedModel } from "./scripted-model.ts";
import { loadTiny } from "./start.ts";

let model: Model;
let listener: Listener | undefined;
const prompts: string[] = [];

beforeAll(async () => {
  model = await loadTiny({ contextLength: 2048 });
});
afterEach(async () => {
  await listener?.close(0);
  listener = undefined;
  prompts.length = 0;
});
afterAll(() => model.dispose());

/** The address of a server whose model says these texts, or of one that really generates. */
async function serve(...answers: string[]): Promise<string> {
  const served = answers.length === 0 ? model : scriptedModel(model, answers, prompts);
  listener = await listen(createServer({ model: served }), { port: 0 });
  return listener.url;
}

function openai(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
}

const call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>';
const parameters = {
  type: "object",
  properties: {
    city: { type: "string", enum: ["Paris", "Rome"] },
    days: { type: "integer", minimum: 1, maximum: 9 },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const weather = {
  type: "function" as const,
  function: { name: "weather", description: "The weather of a city", parameters },
};
const messages = [{ role: "user" as const, content: "How is the weather in Paris?" }];

it("gives one call where a client takes no more", async () => {
  const client = openai(await serve(call + call, call + call));
  for (const parallel of [true, false]) {
    const { choices } = await client.chat.completions.create({
      ...{ model: "Tiny", messages, tools: [weather], parallel_tool_calls: parallel },
    });
    expect(choices[0].message.tool_calls?.length).toBe(parallel ? 2 : 1);
    expect(choices[0].finish_reason).toBe("tool_calls");
  }
});

it("gives openai a tool call, whole and in deltas", async () => {
  const client = openai(await serve(call, `Let me look. ${call}`));
  const { choices } = await client.chat.completions.create({ model: "Tiny", messages, tools: [weather] });
  expect(choices[0]).toMatchObject({
    finish_reason: "tool_calls",
    message: {
      content: null,
      tool_calls: [
        { type: "function", function: { name: "weather", arguments: '{"city": "Paris", "days": 2}' } },
      ],
    },
  });
  // The template of the tiny model knows no tools: they are described in words.
  expect(prompts[0]).toContain('"name":"weather"');

  const stream = await client.chat.completions.create({
    model: "Tiny",
    messages,
    tools: [weather],
    stream: true,
  });
  let content = "";
  let text = "";
  const heads: object[] = [];
  const reasons: (string | null)[] = [];
  for await (const {
    choices: [choice],
  } of stream) {
    content += choice.delta.content ?? "";
    if (choice.finish_reason) reasons.push(choice.finish_reason);
    for (const delta of choice.delta.tool_calls ?? []) {
      expect(delta.index).toBe(0);
      if (delta.id) heads.push({ id: delta.id, name: delta.function?.name, type: delta.type });
      text += delta.function?.arguments ?? "";
    }
  }
  expect(content).toBe("Let me look. ");
  expect(heads).toEqual([{ id: expect.stringMatching(/^call_/), name: "weather", type: "function" }]);
  expect(JSON.parse(text)).toEqual({ city: "Paris", days: 2 });
  expect(reasons).toEqual(["tool_calls"]);
});

it("shows earlier calls and their results to the model", async () => {
  const client = openai(await serve("Sunny."));
  await client.chat.completions.create({
    model: "Tiny",
    tools: [weather],
    messages: [
      ...messages,
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Paris"}' } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "21 degrees" },
    ],
  });
  expect(prompts[0]).toContain('<tool_call>\n{"name":"weather","arguments":{"city":"Paris"}}\n</tool_call>');
  expect(prompts[0]).toContain("<tool_response>\n21 degrees\n</tool_response>");
});

it("runs tools through the AI SDK until there is an answer, generated and streamed", async () => {
  const provider = createOpenAICompatible({
    name: "cria",
    baseURL: `${await serve(call, "It is sunny.", call, "It rains.")}/v1`,
    includeUsage: true,
  });
  const asked: object[] = [];
  const tools = {
    weather: tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string(), days: z.number() }),
      execute: (input) => {
        asked.push(input);
        return "sunny";
      },
    }),
  };
  const options = { model: provider("Tiny"), prompt: "How is the weather?", tools, stopWhen: stepCountIs(3) };
  expect((await generateText(options)).text).toBe("It is sunny.");
  const result = streamText(options);
  expect(await result.text).toBe("It rains.");
  expect((await result.totalUsage).inputTokens).toBeGreaterThan(0);
  expect(asked).toEqual([
    { city: "Paris", days: 2 },
    { city: "Paris", days: 2 },
  ]);
});

it("gives LangChain tool calls", async () => {
  const url = await serve(call, call);
  const chat = new ChatOpenAI({
    model: "Tiny",
    apiKey: "none",
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  });
  const bound = chat.bindTools([
    langchainTool(() => "sunny", {
      name: "weather",
      description: "The weather",
      schema: z.object({ city: z.string() }),
    }),
  ]);
  const expected = [{ name: "weather", args: { city: "Paris", days: 2 } }];
  expect((await bound.invoke([new HumanMessage("Weather?")])).tool_calls).toMatchObject(expected);
  let whole: Awaited<ReturnType<typeof bound.invoke>> | undefined;
  for await (const chunk of await bound.stream("Weather?"))
    whole = whole ? (whole as typeof chunk).concat(chunk as never) : chunk;
  expect(whole?.tool_calls).toMatchObject(expected);
});

it("gives Ollama's client tool calls with arguments as objects", async () => {
  const client = new Ollama({ host: await serve(call, `Now. ${call}${call}`) });
  const tools = [{ ...weather, function: { ...weather.function, parameters: parameters as never } }];
  const expected = { function: { name: "weather", arguments: { city: "Paris", days: 2 } } };
  const whole = await client.chat({ model: "Tiny", messages, tools });
  expect(whole.message.tool_calls).toEqual([expected]);
  const calls = [];
  let content = "";
  for await (const part of await client.chat({ model: "Tiny", messages, tools, stream: true })) {
    calls.push(...(part.message.tool_calls ?? []));
    content += part.message.content;
  }
  expect(calls).toEqual([expected, expected]);
  expect(content).toBe("Now. ");
});

it("makes a random model call the tool that it must, with valid arguments", async () => {
  const client = openai(await serve());
  const clock = { type: "function" as const, function: { name: "clock" } };
  const validate = new Ajv().compile(parameters);
  const named = { type: "function" as const, function: { name: "weather" } };
  for (let seed = 0; seed < 5; seed++) {
    const { choices } = await client.chat.completions.create({
      model: "Tiny",
      messages,
      tools: [clock, weather],
      tool_choice: named,
      max_tokens: 200,
      temperature: 1,
      seed,
    });
    const [made] = choices[0].message.tool_calls ?? [];
    expect(choices[0].finish_reason).toBe("tool_calls");
    if (made?.type !== "function") throw new Error("no call");
    expect(made.function.name).toBe("weather");
    expect(validate(JSON.parse(made.function.arguments)), made.function.arguments).toBe(true);
  }
  const required = await client.chat.completions.create({
    model: "Tiny",
    messages,
    tools: [clock, weather],
    tool_choice: "required",
    max_tokens: 200,
  });
  expect(required.choices[0].message.tool_calls).toHaveLength(1);
  await expect(
    client.chat.completions.create({
      model: "Tiny",
      messages,
      tools: [weather],
      tool_choice: { ...named, function: { name: "no" } },
    }),
  ).rejects.toMatchObject({ status: 400, param: "tool_choice" });
});

const schema = {
  type: "object",
  properties: {
    mood: { enum: ["good", "bad"] },
    score: { type: "integer", minimum: 0, maximum: 99 },
    tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 2 },
  },
  required: ["mood", "score", "tags"],
  additionalProperties: false,
};

it("keeps answers to a JSON schema, in every way to ask for one", async () => {
  const url = await serve();
  const client = openai(url);
  const validate = new Ajv().compile(schema);
  const check = (text?: string | null) => expect(validate(JSON.parse(text ?? "")), text ?? "").toBe(true);
  const base = { model: "Tiny", messages, max_tokens: 300, temperature: 1, seed: 5 };
  const format = { type: "json_schema" as const, json_schema: { name: "mood", strict: true, schema } };
  check(
    (await client.chat.completions.create({ ...base, response_format: format })).choices[0].message.content,
  );
  for (const extra of [
    { json_schema: schema },
    { guided_json: schema },
    { response_format: { type: "json_object", schema } },
  ])
    check((await client.chat.completions.create({ ...base, ...extra } as never)).choices[0].message.content);
  const completion = { model: "Tiny", prompt: "Mood:", max_tokens: 300, response_format: format };
  check((await client.completions.create(completion as never)).choices[0].text);
  const ollama = new Ollama({ host: url });
  check((await ollama.chat({ model: "Tiny", messages, format: schema })).message.content);
  check((await ollama.generate({ model: "Tiny", prompt: "Mood", format: schema })).response);

  const provider = createOpenAICompatible({
    name: "cria",
    baseURL: `${url}/v1`,
    supportsStructuredOutputs: true,
  });
  const { object } = await generateObject({
    model: provider("Tiny"),
    schema: z.object({ mood: z.enum(["good", "bad"]), score: z.number().int().min(0).max(99) }),
    prompt: "Mood?",
  });
  expect(["good", "bad"]).toContain(object.mood);

  const regex = await client.chat.completions.create({ ...base, guided_regex: "(yes|no)!" } as never);
  expect(regex.choices[0].message.content).toMatch(/^(yes|no)!$/);
  const grammar = await client.chat.completions.create({
    ...base,
    grammar: 'root ::= "left" | "right"',
  } as never);
  expect(grammar.choices[0].message.content).toMatch(/^(left|right)$/);
});

it("lets an answer under a schema be a call instead, where tools may be called", async () => {
  const client = openai(await serve());
  const call = new Ajv().compile(parameters);
  const answer = new Ajv().compile(schema);
  let calls = 0;
  for (let seed = 0; seed < 12; seed++) {
    const { choices } = (await client.chat.completions.create({
      model: "Tiny",
      messages,
      tools: [weather],
      max_tokens: 200,
      temperature: 1,
      top_p: 1,
      seed,
      response_format: { type: "json_schema", json_schema: { name: "mood", schema } },
      top_k: 0,
      min_p: 0,
    } as never)) as OpenAI.ChatCompletion;
    const [{ message }] = choices;
    const [made] = message.tool_calls ?? [];
    if (made?.type === "function") {
      calls++;
      expect(call(JSON.parse(made.function.arguments)), made.function.arguments).toBe(true);
    } else expect(answer(JSON.parse(message.content ?? "")), message.content ?? "").toBe(true);
  }
  expect(calls).toBeGreaterThan(0);
  expect(calls).toBeLessThan(12);
  await expect(
    client.chat.completions.create({ model: "Tiny", messages, tools: [weather], guided_regex: "a" } as never),
  ).rejects.toMatchObject({ status: 400, param: "guided_regex" });
});

it("refuses schemas and grammars that it cannot keep, before anything is made", async () => {
  const client = openai(await serve());
  const refused = (extra: object) =>
    expect(client.chat.completions.create({ model: "Tiny", messages, ...extra } as never)).rejects;
  const unknown = { type: "object", unevaluatedItems: false };
  await refused({
    response_format: { type: "json_schema", json_schema: { name: "a", schema: unknown } },
  }).toMatchObject({
    status: 400,
    param: "response_format",
  });
  await refused({ grammar: "root ::= (" }).toMatchObject({ status: 400, param: "grammar" });
  await refused({ guided_regex: "(?=a)b" }).toMatchObject({ status: 400, param: "guided_regex" });
  await refused({ grammar: 'root ::= "a"', json_schema: {} }).toMatchObject({ status: 400 });
  await refused({ response_format: { type: "json_schema" } }).toMatchObject({ status: 400 });
});
