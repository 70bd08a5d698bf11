/** Requests of any shape: an answer or a refusal, but never a fault of the server. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dataFile } from "../data.ts";
import { type Started, start } from "./start.ts";

let server: Started;

beforeAll(async () => {
  server = await start({ tiny: { contextLength: 64 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(-1, 0, 1, 2, 1e308, 2 ** 53, "", "Tiny", true, null, [], {}, [[]], [""], [-1], [[1]]),
);
const message = fc.oneof(
  odd,
  fc.record(
    {
      role: fc.oneof(fc.constantFrom("system", "user", "assistant", "tool", "developer"), odd),
      content: fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), odd),
      tool_calls: fc.oneof(
        fc.constant([{ function: { name: "f", arguments: "{}" } }]),
        fc.constant([{ function: { name: "f", arguments: "[" } }]),
        odd,
      ),
    },
    { requiredKeys: [] },
  ),
);
const common = {
  model: fc.oneof({ weight: 6, arbitrary: fc.constant("Tiny") }, odd),
  max_tokens: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 4 }) }, odd),
  temperature: fc.oneof(fc.double(), odd),
  top_p: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), odd),
  stop: odd,
  seed: odd,
  n: fc.oneof(fc.integer({ min: 1, max: 3 }), odd),
  stream: fc.oneof(fc.boolean(), odd),
  logit_bias: fc.oneof(fc.dictionary(fc.string({ maxLength: 3 }), odd), odd),
  response_format: fc.oneof(
    fc.record({ type: fc.constantFrom("text", "json_object", "json_schema"), schema: odd }),
    odd,
  ),
  grammar: fc.oneof(fc.string(), odd),
};
const bodies: Readonly<Record<string, fc.Arbitrary<object>>> = {
  "/v1/chat/completions": fc.record(
    {
      ...common,
      messages: fc.oneof({ weight: 6, arbitrary: fc.array(message, { maxLength: 3 }) }, odd),
      tools: fc.oneof(fc.constant([{ type: "function", function: { name: "f" } }]), odd),
      tool_choice: fc.oneof(fc.constantFrom("none", "auto", "required"), odd),
      logprobs: odd,
      top_logprobs: odd,
      chat_template_kwargs: odd,
    },
    { requiredKeys: ["messages"] },
  ),
  "/v1/completions": fc.record(
    { ...common, prompt: fc.oneof(fc.string({ unit: "binary" }), odd), echo: odd, logprobs: odd },
    { requiredKeys: ["prompt"] },
  ),
  "/v1/embeddings": fc.record(
    { input: odd, encoding_format: odd, dimensions: odd },
    { requiredKeys: ["input"] },
  ),
  "/tokenize": fc.record({ content: odd, add_special: odd }, { requiredKeys: [] }),
  "/detokenize": fc.record({ tokens: odd }, { requiredKeys: [] }),
  "/apply-template": fc.record({ messages: fc.array(message) }),
  "/api/chat": fc.record(
    { model: fc.constant("Tiny"), messages: fc.array(message), format: odd, options: odd, stream: odd },
    { requiredKeys: ["model"] },
  ),
  "/api/generate": fc.record(
    { model: fc.constant("Tiny"), prompt: odd, raw: odd, context: odd, format: odd },
    { requiredKeys: ["model"] },
  ),
  "/api/embed": fc.record({ model: fc.constant("Tiny"), input: odd }),
  "/api/show": fc.record({ model: odd }),
};

it.each(Object.entries(bodies))("answers or refuses any body at %s", async (path, body) => {
  await fc.assert(
    fc.asyncProperty(body, async (data) => {
      const request = new Request(`http://localhost${path}`, { method: "POST", body: JSON.stringify(data) });
      const response = await server.server.fetch(request);
      const text = await response.text();
      expect(response.status, text).toBeLessThan(500);
      expect(server.errors).toEqual([]);
      if (response.status !== 200) expect(JSON.parse(text)).toHaveProperty("error");
    }),
    { numRuns: 150 },
  );
});

it("answers or refuses any bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
      const request = new Request("http://localhost/v1/completions", {
        method: "POST",
        body: new Uint8Array(bytes),
      });
      expect((await server.server.fetch(request)).status).toBe(400);
    }),
    { numRuns: 300 },
  );
});

const stories = dataFile("models/stories260K/stories260K.bin");
it.skipIf(!stories)("tells the story that stories260K tells", async () => {
  const path = stories ?? "";
  await using real = await start({ path, tokenizer: path.replace("stories260K.bin", "tok512.bin") });
  const response = await fetch(`${real.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt: "Once upon a time", max_tokens: 24, temperature: 0 }),
  });
  const { choices } = (await response.json()) as { choices: { text: string }[] };
  expect(choices[0].text).toBe(", there was a little girl named Lily. She loved to play outside in the p");
});
