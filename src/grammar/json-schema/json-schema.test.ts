import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../../tests/constrained-text.ts";
import { compileGrammar } from "../automaton.ts";
import { type Configuration, Machine } from "../machine.ts";
import { grammarConstraint } from "../token-constraint.ts";
import { type JsonOptions, jsonObjectGrammar, jsonSchemaGrammar } from "./compile.ts";
import { knownFormats } from "./formats.ts";

const tokenizer = pieceTokenizer(jsonPieces);

function fitter(schema: unknown, options?: JsonOptions): (text: string) => boolean {
  const machine = new Machine(compileGrammar(jsonSchemaGrammar(schema, options)));
  return (text) => {
    let at: Configuration | null = machine.start();
    for (const byte of new TextEncoder().encode(text)) at = at && machine.step(at, byte);
    return at?.accepts ?? false;
  };
}

function validator(schema: object): (value: unknown) => boolean {
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv.compile(schema) as (value: unknown) => boolean;
}

// biome-ignore format: a table
const keywords: [name: string, schema: unknown, fits: string[], not: string[]][] = [
  ["true", true, ["1", '{"a": [1, null]}', '"x"'], ["", "x", "[1,]"]],
  ["{}", {}, ["-0.5e+10", "[[], {}]"], ["01", "1.", "+1", "nul"]],
  ["type", { type: "boolean" }, ["true", "false"], ["null", "1", '"true"']],
  ["type list", { type: ["integer", "null"] }, ["12", "-3", "0", "null"], ["1.5", "-", "00", "true"]],
  ["number", { type: "number" }, ["1", "-1.25", "3e-7", "0.0"], [".5", "1e", "1e100"]],
  ["string", { type: "string" }, ['""', '"é😀\\n\\u00e9\\"\\ud83d\\ude00"'], ['"', '"\n"', '"\\x"', '"\\ud83d"', "a"]],
  ["minLength, maxLength", { type: "string", minLength: 2, maxLength: 3 }, ['"ab"', '"\\n\\u0041é"', '"😀😀"'], ['"a"', '"abcd"']],
  ["long maxLength", { type: "string", maxLength: 300 }, [`"${"é".repeat(300)}"`, '""'], [`"${"a".repeat(301)}"`]],
  ["pattern anywhere", { type: "string", pattern: "b+c" }, ['"abbcd"', '"bc"'], ['"ab"', '""']],
  ["pattern with ends", { type: "string", pattern: "^a|^\\d+$" }, ['"abc"', '"12"'], ['"1a"', '"ba"']],
  ["pattern of what is escaped", { pattern: '^["\\\\\\n]{2}$' }, ['"\\"\\\\"', '"\\n\\n"'], ['"a"', '"\\u000a\\n"']],
  ["pattern and length", { pattern: "^(ab)*$", minLength: 3, maxLength: 6 }, ['"abab"', '"ababab"'], ['"ab"', '"abababab"', '"abc"']],
  ["pattern and least length", { pattern: "^a*b$", minLength: 3 }, ['"aab"', '"aaaaaaab"'], ['"ab"', '"aaa"']],
  ["format and pattern", { type: "string", format: "date", pattern: "^19" }, ['"1999-12-31"'], ['"2000-01-01"', '"19"']],
  ["integer range", { type: "integer", minimum: -5, maximum: 123 }, ["-5", "0", "9", "99", "123"], ["-6", "124", "007", "-0", "200"]],
  ["exclusive integers", { type: "integer", exclusiveMinimum: 1.5, exclusiveMaximum: 10 }, ["2", "9"], ["1", "10"]],
  ["integers from", { type: "integer", minimum: 250 }, ["250", "1000", "999999"], ["249", "-300", "25"]],
  ["large integers", { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }, ["9007199254740991", "-9007199254740991"], ["9007199254740992"]],
  ["number range", { type: "number", minimum: -1.5, maximum: 2.25 }, ["-1.5", "-1.50", "0", "2.2", "2.250000", "-0.5"], ["-1.51", "2.26", "3", "2.2500001", "1e0"]],
  ["exclusive numbers", { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 }, ["0.5", "0.000001", "0.999999"], ["0", "1", "0.0", "1.0", "0.5000000001"]],
  ["small bounds", { type: "number", minimum: 1e-9, maximum: 2e-9 }, ["0.000000001", "0.0000000015"].slice(0, 1), ["0.00000001", "0"]],
  ["multipleOf", { type: "integer", multipleOf: 7, minimum: 10, maximum: 100 }, ["14", "98"], ["7", "15", "105"]],
  ["multipleOf without range", { type: "integer", multipleOf: 25 }, ["0", "25", "-100", "1000000"], ["5", "-0", "26"]],
  ["decimal multipleOf", { type: "number", multipleOf: 0.25 }, ["1", "0.5", "0.50", "-2.75"], ["0.3", "0.26", "1.125"]],
  ["const", { const: { a: [1, "é\n"] } }, ['{"a": [1, "é\\n"]}'], ['{"a": [1]}']],
  ["enum", { enum: ["a", "ab", 1, null, true, [1, 2]] }, ['"a"', '"ab"', "1", "null", "[1, 2]"], ['"abc"', "2", "[1]"]],
  ["enum and type", { type: "string", enum: ["a", 1] }, ['"a"'], ["1"]],
  ["nullable", { type: "string", nullable: true }, ['"a"', "null"], ["1"]],
  ["required", { type: "object", properties: { a: { type: "integer" }, b: { type: "integer" } }, required: ["a", "b"] }, ['{"a": 1, "b": 2}'], ['{"b": 2, "a": 1}', '{"a": 1}', "{}", '{"a": 1, "b": 2, "c": 3}']],
  ["optional", { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, required: ["b"] }, ['{"b": 2}', '{"a": 1, "b": 2}', '{"b": 2, "c": 3}', '{"a": 1, "b": 2, "c": 3}'], ["{}", '{, "b": 2}', '{"a": 1}', '{"b": 2, }', '{"c": 3, "b": 2}']],
  ["all optional", { properties: { a: { const: 1 }, b: { const: 2 } } }, ["{}", '{"a": 1}', '{"b": 2}', '{"a": 1, "b": 2}'], ['{"b": 2, "a": 1}']],
  ["required but not described", { type: "object", required: ["x"] }, ['{"x": [1]}', '{"x": null}'], ["{}"]],
  ["additionalProperties false", { type: "object", additionalProperties: false }, ["{}"], ['{"a": 1}']],
  ["additionalProperties schema", { type: "object", properties: { a: { const: 1 } }, additionalProperties: { type: "boolean" } }, ["{}", '{"a": 1, "b": true}', '{"ab": false}', '{"": true}', '{"é": true, "\\n": true}'], ['{"b": 1}', '{"b": true, "a": 1}', '{"a": true}', '{"\\u0061": true}']],
  ["additionalProperties true", { type: "object", properties: { n: { const: 1 } }, required: ["n"], additionalProperties: true }, ['{"n": 1, "x": {"y": [2]}}'], ['{"x": 2}', '{"n": 1, "n": 2}']],
  ["maps", { type: "object", additionalProperties: { type: "integer" }, maxProperties: 2 }, ["{}", '{"a": 1, "b": 2}'], ['{"a": 1, "b": 2, "c": 3}', '{"a": "1"}']],
  ["minProperties", { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, minProperties: 2 }, ['{"a": 1, "c": 3}', '{"a": 1, "b": 2, "c": 3}'], ["{}", '{"b": 2}']],
  ["maxProperties", { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, maxProperties: 1 }, ["{}", '{"c": 3}'], ['{"a": 1, "c": 3}']],
  ["propertyNames listed", { type: "object", propertyNames: { enum: ["a", "b"] }, additionalProperties: { const: 1 } }, ["{}", '{"a": 1, "b": 1}', '{"b": 1}'], ['{"c": 1}']],
  ["propertyNames pattern", { type: "object", propertyNames: { pattern: "^x" } }, ['{"xa": 1}', "{}"], ['{"a": 1}']],
  ["patternProperties", { type: "object", properties: { a: { const: 1 } }, patternProperties: { "^x_": { const: 2 } } }, ['{"a": 1, "x_1": 2}', "{}"], ['{"x_1": 1}', '{"b": 2}']],
  ["names with escapes", { properties: { 'q"\\\n': { const: 1 }, é: { const: 2 }, ["__proto__"]: { const: 3 } } }, ['{"q\\"\\\\\\n": 1, "é": 2, "__proto__": 3}'], ['{"\\u00e9": 2}']],
  ["items", { type: "array", items: { type: "integer" } }, ["[]", "[1]", "[1, -2, 3]"], ["[1,2]", '["a"]', "[1, ]"]],
  ["minItems, maxItems", { type: "array", items: { const: 1 }, minItems: 2, maxItems: 3 }, ["[1, 1]", "[1, 1, 1]"], ["[]", "[1]", "[1, 1, 1, 1]"]],
  ["maxItems 1000", { type: "array", items: { enum: [1, 2] }, maxItems: 1000 }, [`[${Array(1000).fill(1).join(", ")}]`], [`[${Array(1001).fill(1).join(", ")}]`]],
  ["maxItems 0", { type: "array", maxItems: 0 }, ["[]"], ["[1]"]],
  ["prefixItems", { type: "array", prefixItems: [{ const: 1 }, { const: 2 }] }, ["[1, 2]"], ["[1]", "[1, 2, 3]", "[]"]],
  ["prefixItems and items", { prefixItems: [{ const: 1 }], items: { const: 2 }, maxItems: 3 }, ["[1]", "[1, 2]", "[1, 2, 2]"], ["[2]", "[1, 2, 2, 2]", "[1, 1]"]],
  ["prefixItems beyond maxItems", { prefixItems: [{ const: 1 }, { const: 2 }], maxItems: 1 }, ["[1]"], ["[1, 2]"]],
  ["anyOf", { anyOf: [{ type: "integer" }, { type: "string" }] }, ["1", '"a"'], ["null"]],
  ["anyOf beside others", { type: "object", properties: { a: { const: 1 }, b: { const: 2 } }, anyOf: [{ required: ["a"] }, { required: ["b"] }] }, ['{"a": 1}', '{"b": 2}', '{"a": 1, "b": 2}'], ["{}"]],
  ["oneOf by type", { oneOf: [{ type: "integer" }, { type: "null" }] }, ["1", "null"], ["true"]],
  ["oneOf by a property", { oneOf: [{ type: "object", properties: { t: { const: "a" }, x: { type: "integer" } }, required: ["t", "x"] }, { type: "object", properties: { t: { const: "b" } }, required: ["t"] }] }, ['{"t": "a", "x": 1}', '{"t": "b"}'], ['{"t": "a"}', '{"t": "c"}']],
  ["oneOf by range", { oneOf: [{ type: "integer", maximum: 0 }, { type: "integer", exclusiveMinimum: 0 }] }, ["0", "1"], []],
  ["oneOf const", { oneOf: [{ const: "a" }, { const: "b", title: "B" }] }, ['"a"', '"b"'], ['"c"']],
  ["allOf", { allOf: [{ type: "object", properties: { a: { type: "integer" } }, required: ["a"] }, { properties: { a: { minimum: 5 }, b: { const: 1 } } }] }, ['{"a": 5}', '{"a": 9, "b": 1}'], ['{"a": 4}', "{}"]],
  ["allOf types and bounds", { allOf: [{ type: ["integer", "string"] }, { type: "number", maximum: 9 }, { minimum: 3 }] }, ["3", "9"], ["2", '"a"', "10", "3.5"]],
  ["allOf closed", { allOf: [{ type: "object", properties: { a: { const: 1 } }, additionalProperties: false }, { properties: { b: { const: 1 } } }] }, ["{}", '{"a": 1}'], ['{"b": 1}']],
  ["allOf with anyOf", { allOf: [{ anyOf: [{ type: "integer" }, { type: "string" }] }, { anyOf: [{ type: "string" }, { type: "null" }] }] }, ['"a"'], ["1", "null"]],
  ["$ref", { $defs: { "a/b": { type: "integer" } }, type: "array", items: { $ref: "#/$defs/a~1b" } }, ["[1]"], ['["a"]']],
  ["$ref beside others", { $defs: { n: { type: "integer", minimum: 0 } }, $ref: "#/$defs/n", maximum: 3, title: "t" }, ["0", "3"], ["4", "-1"]],
  ["recursion", { type: "object", properties: { v: { const: 1 }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } }, required: ["v", "next"] }, ['{"v": 1, "next": {"v": 1, "next": null}}'], ['{"v": 1}', '{"v": 1, "next": 2}']],
  ["recursion in a list", { $defs: { t: { type: "object", properties: { c: { type: "array", items: { $ref: "#/$defs/t" } } }, required: ["c"] } }, $ref: "#/$defs/t" }, ['{"c": [{"c": []}, {"c": [{"c": []}]}]}'], ["{}", '{"c": [1]}']],
  ["recursion through allOf", { $defs: { base: { type: "object", properties: { n: { const: 1 } } }, node: { allOf: [{ $ref: "#/$defs/base" }], properties: { kid: { $ref: "#/$defs/node" } } } }, $ref: "#/$defs/node" }, ['{"n": 1, "kid": {"n": 1, "kid": {}}}', "{}"], ['{"n": 2}']],
  ["false beside free names", { type: "object", properties: { x: false }, additionalProperties: true }, ["{}", '{"xa": 1}'], ['{"x": 1}']],
  ["false beside names of a kind", { type: "object", properties: { x: false }, additionalProperties: { type: "integer" } }, ['{"y": 1}'], ['{"x": 1}']],
  ["int32", { type: "number", format: "int32" }, ["1", "-2147483648"], ["1.5", "2147483648"]],
  ["int64", { type: "integer", format: "int64" }, ["9223372036854775807", "-9223372036854775808"], ["9223372036854775808", "9223372036854775999", "-9223372036854775809"]],
  ["int64 and a bound", { type: "integer", format: "int64", minimum: 0, maximum: 2 ** 63 }, ["9223372036854775807"], ["9223372036854775808", "-1"]],
  ["bounds beyond 2^53", { type: "integer", exclusiveMaximum: 2 ** 56 }, ["72057594037927935"], ["72057594037927936", "72057594037927939"]],
  ["formats that concern no number", { type: ["integer"], format: "date" }, ["1"], []],
  ["double", { type: "number", format: "double" }, ["1.5"], []],
  ["propertyNames listed of another type", { type: "object", propertyNames: { enum: ["a"], type: "integer" } }, ["{}"], ['{"a": 1}']],
  ["propertyNames of several types", { type: "object", propertyNames: { type: ["string", "null"] } }, ['{"a": 1}'], []],
  ["hostname", { type: "string", format: "hostname" }, [`"${[63, 63, 63, 61].map((n) => "a".repeat(n)).join(".")}"`], [`"${[63, 63, 63, 62].map((n) => "a".repeat(n)).join(".")}"`]],
  ["not nothing", { anyOf: [{ not: {} }, { type: "null" }] }, ["null"], ["1"]],
  ["false inside", { properties: { a: false, b: { const: 1 } } }, ["{}", '{"b": 1}'], ['{"a": 1}']],
  ["keywords of other types", { type: "integer", minLength: 3, items: false }, ["1"], []],
  ["annotations", { title: "t", description: "d", default: 1, examples: [2], $schema: "https://json-schema.org/draft/2020-12/schema", $id: "x", $comment: "c", deprecated: true, "x-own": 1, type: "null" }, ["null"], []],
];

describe("keywords", () => {
  it.each(keywords)("%s", (_, schema, fits, not) => {
    const check = fitter(schema);
    for (const text of fits) expect([text, check(text)]).toEqual([text, true]);
    for (const text of not) expect([text, check(text)]).toEqual([text, false]);
  });

  it("every text that fits is valid by ajv, whatever was drawn", () => {
    for (const [name, schema] of keywords) {
      if (typeof schema !== "object" || name === "annotations") continue;
      const valid = validator(schema as object);
      for (const whitespace of ["compact", "space", "free"] as const) {
        const constraint = grammarConstraint(tokenizer, jsonSchemaGrammar(schema, { whitespace }));
        for (let seed = 1; seed <= 4; seed++) {
          const { text, complete } = randomText(constraint, tokenizer, randomNumbers(seed));
          if (complete) expect([name, text, valid(JSON.parse(text))]).toEqual([name, text, true]);
        }
      }
    }
  });
});

it("reads the tuples of older drafts", () => {
  const items = [{ const: 1 }, { const: 2 }];
  expect(["[1, 2]", "[1, 2, 3]", "[1]"].map(fitter({ type: "array", items }))).toEqual([true, false, false]);
  const rest = fitter({ type: "array", items, additionalItems: { const: 3 }, maxItems: 3 });
  expect(["[1, 2]", "[1, 2, 3]", "[1, 2, 3, 3]"].map(rest)).toEqual([true, true, false]);
  const closed = fitter({ items, additionalItems: false, minItems: 2 });
  expect(["[1, 2]", "[1, 2, 3]"].map(closed)).toEqual([true, false]);
});

describe("formats", () => {
  it.each(knownFormats)("%s", (format) => {
    const schema = { type: "string", format };
    const valid = validator(schema);
    const constraint = grammarConstraint(tokenizer, jsonSchemaGrammar(schema));
    for (let seed = 1; seed <= 60; seed++) {
      const { text, complete } = randomText(constraint, tokenizer, randomNumbers(seed), { patience: 400 });
      expect(complete).toBe(true);
      expect([text, valid(JSON.parse(text))]).toEqual([text, true]);
    }
  });

  it("knows the days of the months", () => {
    const fits = fitter({ type: "string", format: "date" });
    for (const day of ["2024-02-29", "2000-02-29", "2023-02-28", "2023-12-31", "2023-04-30"])
      expect(fits(`"${day}"`)).toBe(true);
    for (const day of ["2023-02-29", "1900-02-29", "2023-04-31", "2023-13-01", "2023-00-10", "2023-1-1"])
      expect(fits(`"${day}"`)).toBe(false);
  });
});

describe("white space", () => {
  const schema = { properties: { a: { type: "array", items: { const: 1 } }, b: { const: { c: 2 } } } };
  it("compact, space, free", () => {
    const compact = '{"a":[1,1],"b":{"c":2}}';
    const space = '{"a": [1, 1], "b": {"c": 2}}';
    const pretty = JSON.stringify({ a: [1, 1], b: { c: 2 } }, null, 2);
    const fits = (whitespace: "compact" | "space" | "free") => fitter(schema, { whitespace });
    expect([compact, space, pretty].map(fits("compact"))).toEqual([true, false, false]);
    expect([compact, space, pretty].map(fits("space"))).toEqual([false, true, false]);
    expect([compact, space, pretty].map(fits("free"))).toEqual([true, true, true]);
    expect(fits("free")('{"a":  [1]}')).toBe(false);
  });
});

it("json_object: any object and nothing else", () => {
  const constraint = grammarConstraint(tokenizer, jsonObjectGrammar());
  let complete = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const result = randomText(constraint, tokenizer, randomNumbers(seed));
    if (!result.complete) continue;
    complete++;
    expect(JSON.parse(result.text)).toBeTypeOf("object");
    expect(result.text.startsWith("{")).toBe(true);
  }
  expect(complete).toBeGreaterThan(20);
});

describe("refuses, with the pointer", () => {
  // biome-ignore format: a table
  const cases: [unknown, string, string][] = [
    [{ type: "object", properties: { a: { if: {} } } }, "unsupported", '#/properties/a/if: "if" is not supported'],
    [{ dependentRequired: {} }, "unsupported", "#/dependentRequired"],
    [{ type: "array", contains: {} }, "unsupported", "#/contains"],
    [{ type: "array", uniqueItems: true }, "unsupported", "#/uniqueItems"],
    [{ not: { type: "string" } }, "unsupported", "#/not"],
    [{ unevaluatedProperties: false }, "unsupported", "#/unevaluatedProperties"],
    [{ type: "object", maxProperties: 1e9 }, "unsupported", "#/maxProperties"],
    [{ type: "object", additionalProperties: false, minProperties: 1e9 }, "unsupported", "#/minProperties"],
    [{ const: Number.POSITIVE_INFINITY }, "unsupported", "Infinity"],
    [{ enum: [{ a: [JSON.parse("-1e400")] }] }, "unsupported", "Infinity"],
    [{ type: "integer", format: "uint8" }, "unsupported", '#/format: "format" "uint8" of numbers'],
    [{ type: "object", propertyNames: { pattern: "^a\\-b" } }, "bad-input", "#/propertyNames/pattern"],
    [{ type: "object", patternProperties: { "^a\\-b": {} } }, "bad-input", "#/patternProperties"],
    [{ type: "string", format: "hostname", pattern: "^(?=.{1,253}\\.?$)[a-zA-Z0-9]{3}$" }, "unsupported", "look-ahead"],
    [{ madeUp: 1 }, "unsupported", "#/madeUp"],
    [{ type: "string", format: "colour" }, "unsupported", '#/format: "format" "colour" is not supported; these are: date'],
    [{ type: "string", pattern: "(?=a)" }, "unsupported", "#/pattern: regular expression, character 3: look-ahead"],
    [{ type: "string", pattern: "(" }, "bad-input", "#/pattern"],
    [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "unsupported", "#/oneOf"],
    [{ oneOf: [{ type: "object", properties: { a: { const: 1 } } }, { type: "object", properties: { a: { const: 2 } } }] }, "unsupported", "schemas 0 and 1"],
    [{ $ref: "https://example.com/x" }, "unsupported", "#/$ref"],
    [{ $ref: "#/$defs/none" }, "bad-input", "leads to nothing"],
    [{ $ref: "#" }, "unsupported", "refers to itself"],
    [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, "unsupported", "left recursion"],
    [{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, "bad-input", "no finite text"],
    [false, "bad-input", "no finite text"],
    [{ type: "strin" }, "bad-input", "#/type: expected one of null"],
    [{ type: "string", minLength: -1 }, "bad-input", "#/minLength"],
    [{ type: "string", minLength: 3, maxLength: 2 }, "bad-input", "#/maxLength"],
    [{ type: "string", maxLength: 100_000 }, "unsupported", "#/maxLength"],
    [{ type: "integer", minimum: "1" }, "bad-input", "#/minimum"],
    [{ type: "integer", multipleOf: 0 }, "bad-input", "#/multipleOf"],
    [{ type: "integer", multipleOf: 999_983 }, "unsupported", "too many states"],
    [{ type: "integer", minimum: 5, maximum: 4 }, "bad-input", "no finite text"],
    [{ allOf: [{ pattern: "a" }, { pattern: "b" }] }, "unsupported", "#/pattern"],
    [{ enum: ["abc"], minLength: 2 }, "unsupported", "#/minLength"],
    [{ required: ["a"], properties: {}, additionalProperties: false }, "bad-input", "#/required"],
    [{ type: "array", prefixItems: [{}], items: false, minItems: 2 }, "bad-input", "#/minItems"],
    [{ type: "string", pattern: "(a|b)*c(a|b){12}", minLength: 5000, maxLength: 60_000 }, "unsupported", "states"],
    ["x", "bad-input", "JSON schema #: expected an object"],
    [{ properties: { a: 3 } }, "bad-input", "#/properties/a: expected an object"],
    [{ anyOf: [] }, "bad-input", "#/anyOf"],
    [{ type: "object", properties: { x: false }, patternProperties: { "^x": { type: "integer" } }, additionalProperties: false }, "unsupported", "#/patternProperties"],
    [{ allOf: [{ properties: { x: { type: "integer" } } }, { patternProperties: { "^x": { type: "string" } }, additionalProperties: false }] }, "unsupported", "#/patternProperties"],
    [{ allOf: [{ type: "object", properties: { a: { type: "integer" } }, additionalProperties: false }, { patternProperties: { "^x": {} } }] }, "unsupported", "#/additionalProperties"],
    [{ $defs: { open: { patternProperties: { "^x": {} } } }, $ref: "#/$defs/open", properties: { a: {} }, additionalProperties: false }, "unsupported", "#/additionalProperties"],
    [{ allOf: [{ type: "array", prefixItems: [{ type: "integer" }] }, { items: { type: "string" } }] }, "unsupported", "#/items"],
    [{ allOf: [{ type: "array", prefixItems: [{ type: "integer" }] }, { items: false }] }, "unsupported", "#/items"],
    [{ type: "array", items: { type: "string" }, anyOf: [{ prefixItems: [{ type: "integer" }] }, { maxItems: 1 }] }, "unsupported", "items"],
    [{ enum: [1.5], format: "int32" }, "unsupported", "#/format"],
    [{ $defs: { a: { type: "integer" } }, properties: { p: { $id: "other", $defs: { a: { type: "string" } }, items: { $ref: "#/$defs/a" } } } }, "unsupported", '"other"'],
    [{ properties: { "a/b~c": { nope: 1 } } }, "unsupported", "#/properties/a~1b~0c/nope"],
  ];
  it.each(cases)("%j", (schema, code, message) => {
    expect(() => compileGrammar(jsonSchemaGrammar(schema))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
