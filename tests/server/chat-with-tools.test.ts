import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { chatWithTools, defineTool } from "../../src/sdk/tools.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { scriptedModel } from "./scripted-model.ts";

let folder = "";
let real: Model;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-tools-"));
  const path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 2048 });
  real = await loadModel(path, { files: nodeFiles, createDevice: createReferenceDevice, hashFiles });
});
afterAll(async () => {
  real.dispose();
  await rm(folder, { recursive: true, force: true });
});

const add = defineTool({
  name: "add",
  description: "adds two numbers",
  parameters: z.object({ a: z.number(), b: z.number().default(1) }),
  run: ({ a, b }) => {
    expectTypeOf(b).toEqualTypeOf<number>();
    return a + b;
  },
});
const fail = defineTool({
  name: "fail",
  parameters: { type: "object", properties: {} },
  run: () => {
    throw new Error("no luck");
  },
});
const call = (name: string, args: unknown) =>
  `<tool_call>${JSON.stringify({ name, arguments: args })}</tool_call>`;
const question = [{ role: "user" as const, content: "what?" }];

it("runs what the model calls until it answers in words", async () => {
  const prompts: string[] = [];
  const answers = [
    `Hm. ${call("add", { a: 2 })}${call("add", { a: 2, b: 5 })}`,
    call("fail", {}),
    "Three and seven.",
  ];
  const texts: string[] = [];
  const model = scriptedModel(real, answers, prompts);
  const result = await chatWithTools(model, question, [add, fail], { onText: (text) => texts.push(text) });
  expect(result.text).toBe("Three and seven.");
  expect(result.runs).toEqual([
    { name: "add", arguments: { a: 2, b: 1 }, result: "3", failed: false },
    { name: "add", arguments: { a: 2, b: 5 }, result: "7", failed: false },
    { name: "fail", arguments: {}, result: "Error: no luck", failed: true },
  ]);
  expect(result.messages.map(({ role }) => role)).toEqual([
    "user",
    "assistant",
    "tool",
    "tool",
    "assistant",
    "tool",
    "assistant",
  ]);
  expect(texts.join("")).toBe("Hm. Three and seven.");
  expect(prompts[0]).toContain("adds two numbers");
  expect(prompts[2]).toContain("Error: no luck");
});

it("tells the model of arguments that do not fit", async () => {
  const model = scriptedModel(real, [call("add", { a: "two" }), "Sorry."]);
  const { runs } = await chatWithTools(model, question, [add]);
  expect(runs[0]).toMatchObject({
    failed: true,
    result: expect.stringContaining("the arguments do not fit: a:"),
  });
});

it("ends after maxSteps, with tools taken away", async () => {
  const prompts: string[] = [];
  const model = scriptedModel(real, [call("add", { a: 1 }), call("add", { a: 1 }), "done"], prompts);
  const { text, runs } = await chatWithTools(model, question, [add], { maxSteps: 3 });
  expect(text).toBe("done");
  expect(runs).toHaveLength(2);
  expect(prompts[2]).not.toContain("adds two numbers");
});

it("ends at an abort, a double name, a wrong name, no steps", async () => {
  const controller = new AbortController();
  const stop = defineTool({ name: "stop", parameters: z.object({}), run: () => controller.abort() });
  const model = scriptedModel(real, [call("stop", {}) + call("stop", {}), "never"]);
  await expect(chatWithTools(model, question, [stop], { signal: controller.signal })).rejects.toMatchObject({
    code: "aborted",
  });
  await expect(chatWithTools(real, question, [add, add])).rejects.toMatchObject({ code: "bad-input" });
  await expect(chatWithTools(real, question, [add], { maxSteps: 0 })).rejects.toMatchObject({
    code: "bad-input",
  });
  expect(() => defineTool({ ...add, name: "a b" })).toThrow("expected a name");
});

it("frees the model when a callback throws, and leaves a tool that does not end", async () => {
  const onText = (): never => {
    throw new Error("mine");
  };
  await expect(chatWithTools(real, question, [add], { onText })).rejects.toThrow("mine");
  expect(real.statistics.running).toBe(0);
  expect((await real.generate("x", { maxTokens: 2 }).result()).ids.length).toBe(2);
  const controller = new AbortController();
  const endless = defineTool({
    name: "endless",
    parameters: z.object({}),
    run: () => {
      setTimeout(() => controller.abort(), 5);
      return new Promise(() => {});
    },
  });
  const model = scriptedModel(real, [call("endless", {}), "never"]);
  await expect(
    chatWithTools(model, question, [endless], { signal: controller.signal }),
  ).rejects.toMatchObject({ code: "aborted" });
});
