import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { writeTinyModel } from "../../tests/tiny-model.ts";
import { createReferenceDevice } from "../devices/reference/device.ts";
import { gbnfConstraint, jsonSchemaConstraint, regexConstraint } from "../grammar/index.ts";
import { nodeFiles } from "../platform/node/file-system.ts";
import { hashFiles } from "../platform/node/hash.ts";
import { generateJson, toJsonSchema } from "./json.ts";
import { loadModel } from "./load-model.ts";
import { logProbability } from "./log-probabilities.ts";
import type { Model } from "./model.ts";

let folder = "";
let model: Model;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-json-"));
  const path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 1024 });
  model = await loadModel(path, { files: nodeFiles, createDevice: createReferenceDevice, hashFiles });
});

afterAll(async () => {
  model.dispose();
  await rm(folder, { recursive: true, force: true });
});

const City = z.object({
  name: z.string().min(1).max(6),
  population: z.int().min(0).max(9999),
  kind: z.enum(["town", "city"]),
  founded: z.iso.date().optional(),
  tags: z.array(z.string().max(3)).max(2).default([]),
});

describe("a model that says what it may", () => {
  it("typed values from zod, greedy and drawn, for a text and a conversation", async () => {
    for (const options of [{ temperature: 0 }, { seed: 1 }, { seed: 2, temperature: 2, topK: 0 }]) {
      const { value, text, finishReason } = await generateJson(model, "a city", City, options);
      expectTypeOf(value).toEqualTypeOf<z.output<typeof City>>();
      expect(City.parse(value)).toEqual(value);
      expect(value).toMatchObject(JSON.parse(text));
      expect(finishReason).toBe("stop");
      const chat = await generateJson(model, [{ role: "user", content: "a city" }], City, options);
      expect(City.parse(chat.value)).toEqual(chat.value);
    }
  });

  it("plain JSON schemas give unknown values", async () => {
    const schema = { type: "array", items: { enum: [1, 2] }, minItems: 3, maxItems: 3 };
    const { value, text } = await generateJson(model, "numbers", schema, { seed: 1, whitespace: "compact" });
    expectTypeOf(value).toEqualTypeOf<unknown>();
    expect(text).toMatch(/^\[[12],[12],[12]\]$/);
  });

  it("regular expressions and grammars, and ends only where they end", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const constraint = regexConstraint(model.tokenizer, /[a-f]{2,4}(-\d\d){1,3}!/);
      const options = { constraint, seed, temperature: 3, topK: 0, topP: 1, minP: 0 };
      const { text, finishReason } = await model.generate("x", options).result();
      expect(text).toMatch(/^[a-f]{2,4}(-\d\d){1,3}!$/);
      expect(finishReason).toBe("stop");
    }
    const grammar = gbnfConstraint(model.tokenizer, 'root ::= "x" | "(" root ")"');
    const { text } = await model
      .chat([{ role: "user", content: "x" }], { constraint: grammar, seed: 3 })
      .result();
    expect(text).toMatch(/^\(*x\)*$/);
  });

  it("an answer of nothing", async () => {
    const constraint = regexConstraint(model.tokenizer, "");
    const result = await model.generate("x", { constraint }).result();
    expect(result).toMatchObject({ text: "", ids: [], finishReason: "stop" });
  });

  it("log-probabilities stay the model's own", async () => {
    const constraint = jsonSchemaConstraint(model.tokenizer, { enum: ["yes", "no"] });
    const rows: Float32Array[] = [];
    const free = await model.generate("x", { temperature: 0, maxTokens: 1, logProbabilities: 1 }).result();
    const bound = await model.generate("x", { temperature: 0, constraint, logProbabilities: 0 }).result();
    const prompt = model.promptOf("x").ids;
    await model.withSequence((sequence) =>
      sequence.append(prompt, "last", { onLogits: (row) => void rows.push(Float32Array.from(row)) }),
    );
    expect(bound.logProbabilities?.[0]).toBeCloseTo(logProbability(rows[0], bound.ids[0]), 6);
    expect(bound.logProbabilities?.[0]).toBeLessThan(free.logProbabilities?.[0] ?? 0);
  });
});

describe("what goes wrong", () => {
  it("a limit that cuts the JSON", async () => {
    await expect(generateJson(model, "x", City, { maxTokens: 3, seed: 1 })).rejects.toMatchObject({
      code: "bad-answer",
      message: expect.stringContaining("after 3 tokens"),
    });
  });

  it("a check that no grammar can keep", async () => {
    const schema = z
      .object({ n: z.int().min(0).max(9) })
      .refine(() => false, { message: "never", path: ["n"] });
    await expect(generateJson(model, "x", schema, { seed: 1 })).rejects.toMatchObject({
      code: "bad-answer",
      message: "the answer fails the schema: n: never",
    });
  });

  it("schemas that cannot be kept are refused before anything is made", async () => {
    await expect(generateJson(model, "x", { uniqueItems: true })).rejects.toMatchObject({
      code: "unsupported",
    });
    await expect(generateJson(model, "x", z.date() as never)).rejects.toMatchObject({ code: "unsupported" });
  });
});

// biome-ignore format: a table
it.each(
  Object.entries({
    email: z.email(), uuid: z.uuid(), datetime: z.iso.datetime(), date: z.iso.date(), time: z.iso.time(),
    duration: z.iso.duration(), ipv4: z.ipv4(), ipv6: z.ipv6(), cidr: z.cidrv4(), url: z.url(), base64: z.base64(),
    base64url: z.base64url(), e164: z.e164(), nanoid: z.nanoid(), cuid: z.cuid(), cuid2: z.cuid2(), ulid: z.ulid(),
    hostname: z.hostname(), int: z.int(), int32: z.int32(), positive: z.number().positive(),
    step: z.number().multipleOf(0.5), tuple: z.tuple([z.literal(1), z.boolean()]),
    rest: z.tuple([z.literal("a")]).rest(z.boolean()), record: z.record(z.string().max(3), z.boolean()),
    keys: z.record(z.enum(["a", "b"]), z.boolean()), partial: z.partialRecord(z.enum(["a", "b"]), z.boolean()),
    includes: z.string().max(6).includes("a.b"), starts: z.string().startsWith("ab"), lower: z.string().lowercase(),
    regex: z.string().regex(/^(a|b)+$/).max(5), nullable: z.boolean().nullable(), optional: z.object({ a: z.null().optional() }),
    strict: z.strictObject({ a: z.boolean() }), catchall: z.object({ a: z.null() }).catchall(z.boolean()),
    union: z.discriminatedUnion("t", [z.object({ t: z.literal("a") }), z.object({ t: z.literal("b"), x: z.boolean() })]),
    both: z.intersection(z.object({ a: z.boolean() }), z.object({ b: z.null() })), literals: z.literal(["a", 1, null]),
    coerced: z.preprocess(Number, z.number().min(1).max(2)).optional().unwrap(),
  }),
)("zod's %s", async (_, schema) => {
  const { value } = await generateJson(model, "x", schema as z.ZodType, { seed: 7, temperature: 1.5, topK: 0, maxTokens: 700 });
  expect(toJsonSchema(schema)).toBeTypeOf("object");
  expect(value).toBeDefined();
}, 60_000);
