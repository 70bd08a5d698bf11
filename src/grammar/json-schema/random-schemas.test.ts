/** A thousand random schemas: every text drawn through the masks is valid by ajv. */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, it } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../../tests/constrained-text.ts";
import { CriaError } from "../../shared/errors.ts";
import { grammarConstraint } from "../token-constraint.ts";
import { jsonObjectGrammar, jsonSchemaGrammar } from "./compile.ts";

type Schema = Record<string, unknown>;

class SchemaMaker {
  readonly #next: () => number;
  readonly defs: Schema = {};

  constructor(seed: number) {
    this.#next = randomNumbers(seed);
  }

  root(): Schema {
    const body = this.schema(0);
    return Object.keys(this.defs).length > 0 ? { $defs: this.defs, ...body } : body;
  }

  schema(depth: number): Schema {
    const simple = [() => this.string(), () => this.number(), () => this.integer(), () => this.constant()];
    const nested = [
      () => this.object(depth),
      () => this.object(depth),
      () => this.array(depth),
      () => this.union(depth),
    ];
    const rare = [
      () => this.merged(depth),
      () => this.exclusive(depth),
      () => this.recursive(depth),
      () => this.map(depth),
    ];
    if (depth >= 4) return this.pick(simple)();
    const kind = this.#next();
    const made = kind < 0.4 ? this.pick(simple)() : kind < 0.8 ? this.pick(nested)() : this.pick(rare)();
    if (this.chance(0.1)) made.description = "something";
    return made;
  }

  string(): Schema {
    const kind = this.#next();
    if (kind < 0.2)
      return {
        type: "string",
        format: this.pick([
          "date",
          "time",
          "date-time",
          "uuid",
          "email",
          "ipv4",
          "ipv6",
          "uri",
          "hostname",
          "duration",
        ]),
      };
    if (kind < 0.45)
      return {
        type: "string",
        pattern: this.pick([
          "^[a-z]{2,9}$",
          "^\\d{3}-\\d{4}$",
          "a.c",
          "^(red|green|blue)$",
          "[A-Z]+$",
          "^.{0,5}x",
          "^\\w+(\\.\\w+)*$",
          '^[^"\\\\]*$',
          '\\\\|"',
          "^$|^-",
        ]),
      };
    const min = this.int(0, 4);
    const schema: Schema = { type: "string" };
    if (this.chance(0.5)) schema.minLength = min;
    if (this.chance(0.5)) schema.maxLength = min + this.int(0, this.pick([3, 40, 500]));
    if (this.chance(0.15)) schema.pattern = this.pick(["^[a-z]*$", "b", "^(ab|é)*"]);
    if (schema.pattern && Number(schema.maxLength) < 3) schema.maxLength = 9;
    return schema;
  }

  number(): Schema {
    const schema: Schema = { type: this.chance(0.2) ? ["number", "null"] : "number" };
    const low = this.pick([-1000, -12.5, -0.001, 0, 0.1, 3, 99.99]);
    if (this.chance(0.5)) schema[this.pick(["minimum", "exclusiveMinimum"])] = low;
    if (this.chance(0.5))
      schema[this.pick(["maximum", "exclusiveMaximum"])] = low + this.pick([0.5, 1, 17.25, 1e6]);
    if (this.chance(0.2)) schema.multipleOf = this.pick([0.5, 0.25, 2, 0.125]);
    return schema;
  }

  integer(): Schema {
    const schema: Schema = { type: "integer" };
    const low = this.int(-2000, 2000);
    if (this.chance(0.6)) schema[this.pick(["minimum", "exclusiveMinimum"])] = low;
    if (this.chance(0.6)) schema[this.pick(["maximum", "exclusiveMaximum"])] = low + this.int(20, 100_000);
    if (this.chance(0.25)) schema.multipleOf = this.int(1, 17);
    return schema;
  }

  constant(): Schema {
    const values = ["a", "b c", 'q"\\', "é", 1, -2.5, true, null, [1, "x"], { k: [null] }, ""];
    if (this.chance(0.3)) return { const: this.pick(values) };
    if (this.chance(0.3))
      return this.pick([{ type: "boolean" }, { type: "null" }, {}, { type: ["string", "boolean"] }]);
    return { enum: values.filter(() => this.chance(0.5)).concat(["z"]) };
  }

  object(depth: number): Schema {
    const names = ["id", "name", "a", "ab", "b c", 'x"y', "é", "value", "_", "0"].filter(() =>
      this.chance(0.4),
    );
    const properties: Schema = {};
    for (const name of names) properties[name] = this.schema(depth + 1);
    const required = names.filter(() => this.chance(0.6));
    const schema: Schema = { type: "object", properties };
    if (required.length > 0 || this.chance(0.5)) schema.required = required;
    const kind = this.#next();
    if (kind < 0.5) schema.additionalProperties = false;
    else if (kind < 0.65) schema.additionalProperties = this.schema(depth + 2);
    else if (kind < 0.7) schema.additionalProperties = true;
    else if (kind < 0.75) schema.patternProperties = { "^zz": this.schema(depth + 2) };
    if (this.chance(0.1)) schema.minProperties = Math.min(names.length, required.length + 1);
    if (this.chance(0.1)) schema.maxProperties = required.length + this.int(0, 3);
    if (schema.minProperties === 0) delete schema.minProperties;
    return schema;
  }

  map(depth: number): Schema {
    const schema: Schema = { type: "object", additionalProperties: this.schema(depth + 1) };
    if (this.chance(0.3))
      schema.propertyNames = this.pick([
        { pattern: "^[a-z]+$" },
        { enum: ["a", "b"] },
        { maxLength: 3 },
        { type: "string" },
      ]);
    else if (depth > 1) schema.maxProperties = this.int(0, 5);
    return schema;
  }

  array(depth: number): Schema {
    const schema: Schema = { type: "array", items: this.schema(depth + 1) };
    const min = this.int(0, 3);
    if (this.chance(0.4)) schema.minItems = min;
    if (this.chance(0.5)) schema.maxItems = min + this.int(0, this.pick([2, 30]));
    if (this.chance(0.25)) {
      schema.prefixItems = Array.from({ length: this.int(1, 3) }, () => this.schema(depth + 1));
      const rest = this.int(0, 2);
      if (rest === 0) delete schema.items;
      else if (rest === 1) {
        schema.items = false;
        delete schema.minItems;
      }
    }
    return schema;
  }

  union(depth: number): Schema {
    const options = Array.from({ length: this.int(1, 4) }, () => this.schema(depth + 1));
    return { anyOf: options };
  }

  merged(depth: number): Schema {
    const second = this.object(depth);
    delete second.additionalProperties;
    delete second.patternProperties;
    const first = this.object(depth);
    delete first.patternProperties;
    delete first.properties;
    delete first.additionalProperties;
    delete first.required;
    return this.chance(0.5)
      ? { allOf: [second, { properties: { extra: this.schema(depth + 1) }, required: ["extra"] }] }
      : { allOf: [second, first] };
  }

  exclusive(depth: number): Schema {
    const options = ["one", "two", "three"].map((kind) => ({
      type: "object",
      properties: { kind: { const: kind }, content: this.schema(depth + 1) },
      required: ["kind"],
      additionalProperties: false,
    }));
    return { oneOf: [...options, { type: "null" }] };
  }

  recursive(depth: number): Schema {
    const open = Object.keys(this.defs);
    if (open.length > 0 && this.chance(0.5))
      return { anyOf: [{ type: "null" }, { $ref: refTo(this.pick(open)) }] };
    const name = `def ${Object.keys(this.defs).length}/~`;
    this.defs[name] = {};
    const body = this.schema(depth + 1);
    const link = {
      anyOf: [{ type: "null" }, { type: "array", items: { $ref: refTo(name) }, maxItems: 2 }],
    };
    this.defs[name] = {
      type: "object",
      properties: { body, link },
      required: ["link"],
      additionalProperties: false,
    };
    return { $ref: refTo(name) };
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#next() * items.length)];
  }

  chance(p: number): boolean {
    return this.#next() < p;
  }

  int(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1));
  }
}

function refTo(name: string): string {
  return `#/$defs/${name.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll(" ", "%20")}`;
}

it("gives only valid texts, for a thousand random schemas", () => {
  const tokenizer = pieceTokenizer(jsonPieces);
  const counts = { refused: 0, empty: 0, texts: 0, cut: 0 };
  for (let seed = 1; seed <= 1000; seed++) {
    const schema = new SchemaMaker(seed * 7919).root();
    const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
    (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
    const valid = ajv.compile(schema);
    const whitespace = (["space", "compact", "free"] as const)[seed % 3];
    let constraint: ReturnType<typeof grammarConstraint>;
    try {
      constraint = grammarConstraint(tokenizer, jsonSchemaGrammar(schema, { whitespace }));
    } catch (error) {
      // Some combinations are rightly refused: two patterns that must both hold, bounds without a number between.
      if (!(error instanceof CriaError)) throw error;
      if (error.message.includes("no finite text")) counts.empty++;
      else counts.refused++;
      continue;
    }
    for (let draw = 1; draw <= 2; draw++) {
      const { text, complete } = randomText(constraint, tokenizer, randomNumbers(seed * 10 + draw), {
        limit: 400,
        patience: 25,
      });
      if (!complete) {
        counts.cut++;
        continue;
      }
      counts.texts++;
      const value = JSON.parse(text);
      if (!valid(value))
        expect.fail(`seed ${seed}: ${text}\n${JSON.stringify(schema)}\n${JSON.stringify(valid.errors)}`);
    }
  }
  expect(counts.texts).toBeGreaterThan(1700);
  expect(counts.refused + counts.empty).toBeLessThan(120);
}, 600_000);

it("gives only objects in json_object mode", () => {
  const tokenizer = pieceTokenizer(jsonPieces);
  const constraint = grammarConstraint(tokenizer, jsonObjectGrammar({ whitespace: "free" }));
  for (let seed = 1; seed <= 100; seed++) {
    const { text, complete } = randomText(constraint, tokenizer, randomNumbers(seed));
    if (complete) expect(text.startsWith("{") && typeof JSON.parse(text) === "object").toBe(true);
  }
});
