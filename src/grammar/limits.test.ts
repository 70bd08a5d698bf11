/** Hostile grammars: bounded time and memory, and an error that says which limit was passed. */
import { expect, it, vi } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../tests/constrained-text.ts";
import { CriaError } from "../shared/errors.ts";
import { compileGrammar } from "./automaton.ts";
import { gbnfGrammar } from "./gbnf.ts";
import { gbnfConstraint, jsonSchemaConstraint, regexConstraint } from "./index.ts";
import { jsonSchemaGrammar } from "./json-schema/compile.ts";

vi.setConfig({ testTimeout: 120_000 });

const tokenizer = pieceTokenizer(jsonPieces);

/** The error of something that must end soon, one way or the other. */
function outcome(run: () => unknown): CriaError | undefined {
  const started = performance.now();
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  // About a second on a quiet machine; on a busy one all takes longer.
  expect(performance.now() - started).toBeLessThan(20_000);
  if (error !== undefined && !(error instanceof CriaError)) throw error;
  return error;
}

it("ten thousand enum values", () => {
  const values = Array.from({ length: 10_000 }, (_, i) => `value ${(i * 7919) % 10_007}-${i}`);
  const constraint = jsonSchemaConstraint(tokenizer, { enum: values });
  for (let seed = 1; seed <= 10; seed++) {
    const { text } = randomText(constraint, tokenizer, randomNumbers(seed));
    expect(values).toContain(JSON.parse(text));
  }
});

it("a list of exactly 1000 items, each of them counted", () => {
  const schema = {
    type: "array",
    items: { type: "string", minLength: 1, maxLength: 100 },
    minItems: 1000,
    maxItems: 1000,
  };
  const grammar = jsonSchemaGrammar(schema, { whitespace: "compact" });
  expect(compileGrammar(grammar).states.length).toBeLessThan(500);
  const constraint = jsonSchemaConstraint(tokenizer, schema, { whitespace: "compact" });
  const state = constraint.start({ continues: true, endIds: tokenizer.endIds });
  const take = (piece: string) => state.accept(tokenizer.idOf(piece)!);
  take("[");
  for (let i = 0; i < 1000; i++)
    for (const piece of i === 0 ? ['"', "a", '"'] : [",", '"', "a", '"']) take(piece);
  expect(state.finished).toBe(false);
  expect(() => take(",")).toThrow("does not fit");
  take("]");
  expect(state.finished).toBe(true);
});

it("counts in counts in counts", () => {
  const constraint = regexConstraint(tokenizer, "(((a{1,1000}b){1,1000}c){1,1000}d){1,1000}");
  randomText(constraint, tokenizer, randomNumbers(1), { limit: 500 });
  expect(
    outcome(() => regexConstraint(tokenizer, "((((.{60000}){60000}){60000}){60000}){60000}")),
  ).toBeUndefined();
});

it("a hundred thousand brackets deep", () => {
  const constraint = gbnfConstraint(tokenizer, 'root ::= "(" root ")" | "x"');
  const state = constraint.start({ continues: true, endIds: tokenizer.endIds });
  const row = new Float32Array(tokenizer.vocabularySize);
  const [open, close] = [tokenizer.idOf("(")!, tokenizer.idOf(")")!];
  for (let i = 0; i < 100_000; i++) {
    state.accept(open);
    if (i % 1000 === 0) state.mask(row.fill(0));
  }
  state.accept(tokenizer.idOf("x")!);
  for (let i = 0; i < 100_000; i++) state.accept(close);
  expect(state.finished).toBe(true);
});

it("what is kept does not grow with what is generated", () => {
  const constraint = jsonSchemaConstraint(tokenizer, {
    $defs: { node: { type: "object", additionalProperties: { $ref: "#/$defs/node" } } },
    $ref: "#/$defs/node",
  });
  const run = (from: number, to: number) => {
    for (let seed = from; seed < to; seed++)
      randomText(constraint, tokenizer, randomNumbers(seed), { limit: 300 });
    globalThis.gc?.();
  };
  run(1, 60);
  const before = process.memoryUsage().heapUsed;
  run(60, 180);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(150e6);
});

it("patterns that make backtracking matchers hang", () => {
  const constraint = regexConstraint(tokenizer, "(a+)+(a|aa)*(a*)*b");
  const state = constraint.start({ continues: true, endIds: tokenizer.endIds });
  const started = performance.now();
  for (let i = 0; i < 5000; i++) state.accept(tokenizer.idOf("a")!);
  state.accept(tokenizer.idOf("b")!);
  expect(state.finished).toBe(true);
  expect(performance.now() - started).toBeLessThan(30_000);
});

it.each<[string, () => unknown, string]>([
  [
    "a grammar of millions of states",
    () => gbnfConstraint(tokenizer, `root ::= ${"a ".repeat(30_000)}\na ::= "${"x".repeat(40)}"`),
    "states",
  ],
  [
    "a grammar of megabytes",
    () => gbnfConstraint(tokenizer, `root ::= "${"x".repeat(4e6)}"`),
    "100000 characters",
  ],
  [
    "a pattern of megabytes",
    () => regexConstraint(tokenizer, "[\\p{L}]".repeat(500_000)),
    "10000 characters",
  ],
  [
    "a long chain of rules that may be empty",
    () =>
      gbnfConstraint(
        tokenizer,
        `root ::= a0 "x"\n${Array.from({ length: 4000 }, (_, i) => `a${i} ::= a${i + 1}\n`).join("")}a4000 ::= ""\n`,
      ),
    "more than 1000 deep",
  ],
  [
    "a long chain of alternatives",
    () =>
      jsonSchemaConstraint(tokenizer, {
        $defs: Object.fromEntries(
          Array.from({ length: 4001 }, (_, i) => [
            `d${i}`,
            i === 4000 ? { type: "null" } : { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { const: i }] },
          ]),
        ),
        $ref: "#/$defs/d0",
      }),
    "more than 1000 deep",
  ],
  [
    "rules that double at each step",
    () =>
      gbnfConstraint(
        tokenizer,
        `root ::= a0\n${Array.from({ length: 60 }, (_, i) => `a${i} ::= a${i + 1} a${i + 1}`).join("\n")}\na60 ::= "x"\n`,
      ),
    "",
  ],
  [
    "a schema nested 5000 deep",
    () => {
      let schema: unknown = { type: "string" };
      for (let i = 0; i < 5000; i++) schema = { type: "array", items: schema };
      return jsonSchemaConstraint(tokenizer, schema);
    },
    "nested more than",
  ],
  [
    "allOf nested 5000 deep",
    () => {
      let schema: unknown = { type: "string" };
      for (let i = 0; i < 5000; i++) schema = { allOf: [schema] };
      return jsonSchemaConstraint(tokenizer, schema);
    },
    "nested more than",
  ],
  [
    "a chain of 5000 references",
    () =>
      jsonSchemaConstraint(tokenizer, {
        $defs: Object.fromEntries(
          Array.from({ length: 5001 }, (_, i) => [
            `d${i}`,
            i === 5000 ? { type: "null" } : { $ref: `#/$defs/d${i + 1}` },
          ]),
        ),
        $ref: "#/$defs/d0",
      }),
    "nested more than",
  ],
  [
    "alternatives that multiply",
    () =>
      jsonSchemaConstraint(tokenizer, {
        allOf: Array.from({ length: 12 }, (_, i) => ({
          anyOf: Array.from({ length: 10 }, (_, j) => ({ properties: { [`p${i}`]: { const: j } } })),
        })),
      }),
    "more than",
  ],
  ["ten thousand groups", () => regexConstraint(tokenizer, "(".repeat(10_000)), "nested more than"],
  [
    "a pattern with lengths in the thousands",
    () =>
      jsonSchemaConstraint(tokenizer, { type: "string", pattern: "(a|b)*a(a|b){50}$", maxLength: 60_000 }),
    "states",
  ],
  [
    "a long list of properties of which some number must be there",
    () =>
      jsonSchemaConstraint(tokenizer, {
        properties: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`p${i}`, {}])),
        minProperties: 1000,
      }),
    "minProperties",
  ],
  [
    "seven lists of nine alternatives that must all hold",
    () =>
      jsonSchemaConstraint(tokenizer, {
        allOf: Array.from({ length: 7 }, (_, i) => ({
          anyOf: Array.from({ length: 9 }, (_, j) => ({ properties: { [`p${i}`]: { const: j } } })),
        })),
      }),
    "more than",
  ],
  [
    "two hundred thousand enum values",
    () => jsonSchemaConstraint(tokenizer, { enum: Array.from({ length: 200_000 }, (_, i) => `v${i}`) }),
    "characters and values",
  ],
  [
    "a list of a hundred thousand values",
    () => jsonSchemaConstraint(tokenizer, { const: Array.from({ length: 140_000 }, () => 1) }),
    "states",
  ],
  [
    "two long enums that must both hold",
    () =>
      jsonSchemaConstraint(tokenizer, {
        allOf: [0, 9000].map((from) => ({ enum: Array.from({ length: 10_000 }, (_, i) => `a${i + from}`) })),
      }),
    "",
  ],
  [
    "four thousand ranges",
    () =>
      jsonSchemaConstraint(tokenizer, {
        properties: Object.fromEntries(
          Array.from({ length: 4000 }, (_, i) => [
            `p${i}`,
            { type: "integer", minimum: i - 1e6, maximum: 1e9 + i },
          ]),
        ),
      }),
    "more than",
  ],
  [
    "a thousand large multiples",
    () =>
      jsonSchemaConstraint(tokenizer, {
        properties: Object.fromEntries(
          Array.from({ length: 1000 }, (_, i) => [
            `p${i}`,
            { type: "integer", multipleOf: 997 + i, maximum: 1e12 },
          ]),
        ),
      }),
    "steps to compile",
  ],
  [
    "oneOf of hundreds of enums",
    () =>
      jsonSchemaConstraint(tokenizer, {
        oneOf: Array.from({ length: 290 }, (_, i) => ({
          type: "object",
          required: ["t"],
          properties: { t: { enum: Array.from({ length: 100 }, (_, j) => `k${i}-${j}`) } },
        })),
      }),
    "steps to compile",
  ],
  [
    "oneOf of 499 objects that a property tells apart",
    () =>
      jsonSchemaConstraint(tokenizer, {
        oneOf: Array.from({ length: 499 }, (_, i) => ({
          type: "object",
          required: ["t"],
          properties: { t: { const: `k${i}` }, x: { type: "integer" } },
        })),
      }),
    "",
  ],
  [
    "thousands of parts of one object",
    () =>
      jsonSchemaConstraint(tokenizer, {
        allOf: Array.from({ length: 9000 }, (_, i) => ({ properties: { [`p${i}`]: {} } })),
      }),
    "steps to compile",
  ],
  [
    "free names beside thousands",
    () =>
      jsonSchemaConstraint(tokenizer, {
        properties: Object.fromEntries(Array.from({ length: 15_000 }, (_, i) => [`p${i * 7919}`, {}])),
        additionalProperties: true,
      }),
    "free properties beside names",
  ],
])("refuses or survives %s", (_, run, message) => {
  const error = outcome(run);
  if (message === "") expect(error).toBeUndefined();
  else expect(error?.message).toEqual(expect.stringContaining(message));
});

it("a schema that contains itself", () => {
  const schema: Record<string, unknown> = { type: "array" };
  schema.items = schema;
  expect(outcome(() => jsonSchemaConstraint(tokenizer, schema))?.message).toContain("nested more than");
});

it("two thousand optional properties", () => {
  const properties = Object.fromEntries(
    Array.from({ length: 2000 }, (_, i) => [`property ${i}`, { const: i }]),
  );
  const constraint = jsonSchemaConstraint(tokenizer, { properties });
  const started = performance.now();
  const { text, complete } = randomText(constraint, tokenizer, randomNumbers(3), { limit: 300 });
  expect(performance.now() - started).toBeLessThan(60_000);
  if (complete) expect(JSON.parse(text)).toBeTypeOf("object");
});

it("says that a grammar is too ambiguous when it is", () => {
  const grammar = gbnfGrammar('root ::= (a | b){1,60}\na ::= "a"{1,60} b?\nb ::= "b" | "a" root "z"?');
  const state = gbnfConstraint(
    tokenizer,
    'root ::= (a | b){1,60}\na ::= "a"{1,60} b?\nb ::= "b" | "a" root "z"?',
  ).start({
    continues: true,
    endIds: tokenizer.endIds,
  });
  expect(compileGrammar(grammar).states.length).toBeLessThan(1000);
  const error = outcome(() => {
    for (let i = 0; i < 1000; i++) state.accept(tokenizer.idOf("a")!);
  });
  expect(error).toMatchObject({ code: "unsupported", message: expect.stringContaining("ways at once") });
});
