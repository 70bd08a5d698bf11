/**
 * A JSON schema as a grammar of the texts that it admits.
 *
 * Fails closed: what cannot be kept is refused before anything is generated, with the keyword's JSON pointer. Where a
 * schema leaves things open, the grammar takes the usual part of what it admits: properties in the order listed and no
 * others unless `additionalProperties` says so, whole tuples, numbers of a range with fifteen digits at most.
 *
 * Every schema becomes a rule named by its pointer, so `$ref` and recursion are calls of rules.
 *
 * Flow: schema → jsonSchemaGrammar → Grammar → automaton.ts.
 * Source: JSON Schema draft 2020-12, core and validation.
 */
import { CriaError } from "../../shared/errors.ts";
import { choice, type Expression, type Grammar, literal, never, oneOf, reference } from "../expression.ts";
import { Effort } from "./effort.ts";
import { areExclusive } from "./exclusive.ts";
import { isStringFormat } from "./formats.ts";
import { Merger, valuesOf } from "./merge.ts";
import { numberInRange } from "./numbers.ts";
import { arrayExpression, objectExpression } from "./objects.ts";
import {
  admitsType,
  badKeyword,
  canonical,
  checkSchema,
  constraintsOf,
  isAnnotation,
  isObject,
  type Json,
  type JsonSchema,
  keywordType,
  listOf,
  pointerTo,
  type SchemaObject,
  typeOfValue,
  typesOf,
  unsupported,
} from "./schema.ts";
import { located, stringExpression } from "./strings.ts";
import {
  anyBoolean,
  anyInteger,
  anyNumber,
  anyObject,
  anyValue,
  jsonRules,
  type Whitespace,
  type Writing,
  writingOf,
  writtenValue,
} from "./writing.ts";

export interface JsonOptions {
  /** How the text is laid out; see writing.ts. Default "space": one space after every : and comma. */
  readonly whitespace?: Whitespace;
}

/** Characters of all names and texts, and one for each value. */
const sizeLimit = 300_000;
const alternativeLimit = 20_000;
const depthLimit = 400;

/**
 * @throws {CriaError} "unsupported" for a keyword that cannot be kept, "bad-input" for a mistake in the schema; both
 * with the JSON pointer.
 */
export function jsonSchemaGrammar(schema: unknown, options: JsonOptions = {}): Grammar {
  const writing = writingFor(options);
  checkShape(schema);
  return new Compiler(schema as Json, writing).compile();
}

/** Any JSON object. */
export function jsonObjectGrammar(options: JsonOptions = {}): Grammar {
  return { root: "root", rules: new Map([...jsonRules(writingFor(options)), ["root", anyObject]]) };
}

function writingFor({ whitespace = "space" }: JsonOptions): Writing {
  if (!["compact", "space", "free"].includes(whitespace))
    throw new CriaError("bad-input", `whitespace: expected "compact", "space" or "free", got ${whitespace}`);
  return writingOf(whitespace);
}

/** What `#parts` takes apart. */
const followedKeywords: readonly string[] = ["$ref", "allOf", "anyOf", "oneOf", "not"];

interface Alternatives {
  readonly keyword: "anyOf" | "oneOf";
  readonly options: readonly JsonSchema[];
  readonly pointer: string;
}

/** A schema taken apart: its own keywords joined with those of what it refers to, and the lists to choose from. */
interface Parts {
  readonly plain: JsonSchema;
  readonly alternatives: readonly Alternatives[];
}

class Compiler {
  readonly #root: Json;
  readonly #writing: Writing;
  readonly #rules: Map<string, Expression>;
  /** The rule of each schema object. */
  readonly #names = new Map<SchemaObject, string>();
  readonly #work: { schema: SchemaObject; pointer: string; name: string }[] = [];
  readonly #effort = new Effort();
  readonly #merger = new Merger(this.#effort);
  readonly #own = new Map<SchemaObject, SchemaObject>();

  constructor(root: Json, writing: Writing) {
    this.#root = root;
    this.#writing = writing;
    this.#rules = new Map(jsonRules(writing));
  }

  compile(): Grammar {
    this.#rules.set("root", this.#schema(this.#root, "#"));
    for (let next = this.#work.pop(); next; next = this.#work.pop()) {
      const body = this.#body(next.schema, next.pointer);
      this.#effort.spendOn(body);
      this.#rules.set(next.name, body);
    }
    return { root: "root", rules: this.#rules };
  }

  /** A call of the schema's rule, which is made later. */
  #schema(json: Json | undefined, pointer: string): Expression {
    const schema = checkSchema(json, pointer);
    if (schema === true) return anyValue;
    if (schema === false) return never;
    let name = this.#names.get(schema);
    if (name === undefined) {
      if (pointer.split("/").length > depthLimit) throw tooDeep();
      name = this.#rules.has(pointer) || pointer === "root" ? `${pointer} (${this.#names.size})` : pointer;
      this.#names.set(schema, name);
      this.#rules.set(name, never);
      this.#work.push({ schema, pointer, name });
    }
    return reference(name);
  }

  #body(schema: SchemaObject, pointer: string): Expression {
    const { plain, alternatives } = this.#parts(schema, pointer, new Set());
    if (plain === false) return never;
    if (alternatives.length === 0) return plain === true ? anyValue : this.#plain(plain, pointer);
    const [first, ...rest] = alternatives;
    const isOpen = plain === true || constraintsOf(plain).length === 0;
    if (first.keyword === "oneOf") this.#checkExclusive(first, plain);
    // Known before the work: each way through all the lists would become a schema.
    if (alternatives.reduce((product, { options }) => product * options.length, 1) > alternativeLimit)
      throw unsupported(
        first.pointer,
        first.keyword,
        `has more than ${alternativeLimit} schemas, with those that must hold as well`,
      );
    return choice(
      ...first.options.map((option, i) => {
        const at = pointerTo(pointerTo(first.pointer, first.keyword), i);
        if (isOpen && rest.length === 0) return this.#schema(option as Json, at);
        const others = rest.map(
          ({ keyword, options }) => ({ [keyword]: options }) as unknown as SchemaObject,
        );
        return this.#schema({ allOf: [plain as Json, option as Json, ...others] }, at);
      }),
    );
  }

  /** Follows `$ref` and `allOf`. */
  #parts(schema: JsonSchema, pointer: string, seen: Set<SchemaObject>): Parts {
    if (typeof schema === "boolean") return { plain: schema, alternatives: [] };
    this.#effort.spend(1);
    if (seen.has(schema))
      throw new CriaError(
        "unsupported",
        `JSON schema ${pointer}: it refers to itself without anything around it`,
      );
    seen.add(schema);
    if (seen.size > depthLimit) throw tooDeep();
    // What is referred to comes first, and with it its properties.
    let plain: JsonSchema = true;
    const alternatives: Alternatives[] = [];
    const join = (json: Json | undefined, at: string) => {
      const parts = this.#parts(checkSchema(json, at), at, seen);
      plain = this.#merger.merge(plain, parts.plain, pointer);
      alternatives.push(...parts.alternatives);
    };
    if (schema.$ref !== undefined) {
      const target = this.#target(schema.$ref, pointer);
      join(target.schema, target.pointer);
    }
    if (schema.allOf !== undefined) {
      const at = pointerTo(pointer, "allOf");
      for (const [i, part] of listOf(schema, pointer, "allOf").entries()) join(part, pointerTo(at, i));
    }
    plain = this.#merger.merge(plain, this.#ownKeywords(schema), pointer);
    if (schema.not !== undefined && schema.not !== false) {
      const refused = checkSchema(schema.not, pointerTo(pointer, "not"));
      if (refused === true || (refused !== false && constraintsOf(refused).length === 0)) plain = false;
      else throw unsupported(pointer, "not");
    }
    for (const keyword of ["anyOf", "oneOf"] as const) {
      if (schema[keyword] === undefined) continue;
      const at = pointerTo(pointer, keyword);
      const options = listOf(schema, pointer, keyword).map((option, i) =>
        checkSchema(option, pointerTo(at, i)),
      );
      if (options.length === 0) throw badKeyword(pointer, keyword, "at least one schema", []);
      alternatives.push({ keyword, options, pointer });
    }
    seen.delete(schema);
    return { plain, alternatives };
  }

  /** The schema without what `#parts` follows; the same object each time. */
  #ownKeywords(schema: SchemaObject): SchemaObject {
    if (!followedKeywords.some((keyword) => keyword in schema)) return schema;
    let own = this.#own.get(schema);
    if (!own) {
      own = Object.fromEntries(
        Object.entries(schema).filter(
          ([keyword]) => !followedKeywords.includes(keyword) && !isAnnotation(keyword),
        ),
      );
      this.#own.set(schema, own);
    }
    return own;
  }

  #target(ref: Json, pointer: string): { schema: Json; pointer: string } {
    if (typeof ref !== "string") throw badKeyword(pointer, "$ref", "a JSON pointer", ref);
    if (ref !== "#" && !ref.startsWith("#/"))
      throw unsupported(
        pointer,
        "$ref",
        `leads to ${JSON.stringify(ref)}; only pointers into this schema are supported`,
      );
    let target: Json | undefined = this.#root;
    for (const part of ref.split("/").slice(1)) {
      const key = decodePointer(part, pointer).replaceAll("~1", "/").replaceAll("~0", "~");
      if (Array.isArray(target)) target = /^\d+$/.test(key) ? target[Number(key)] : undefined;
      else target = isObject(target) && Object.hasOwn(target, key) ? target[key] : undefined;
      if (target === undefined)
        throw new CriaError(
          "bad-input",
          `JSON schema ${pointerTo(pointer, "$ref")}: ${JSON.stringify(ref)} leads to nothing`,
        );
    }
    return { schema: target, pointer: ref };
  }

  /** `oneOf` is kept only where no value can fit two of its schemas. */
  #checkExclusive({ options, pointer }: Alternatives, plain: JsonSchema): void {
    const resolve = (schema: JsonSchema): JsonSchema => {
      const parts = this.#parts(schema, pointer, new Set());
      return parts.alternatives.length > 0 ? true : this.#merger.merge(plain, parts.plain, pointer);
    };
    const resolved = options.map(resolve);
    const values = resolved.map((schema) => (typeof schema === "boolean" ? undefined : valuesOf(schema)));
    if (values.every((list) => list !== undefined)) {
      const texts = values.flat().map(canonical);
      if (new Set(texts).size === texts.length) return;
    }
    const inner = (schema: JsonSchema): JsonSchema => {
      // The same few schemas again for each pair.
      if (typeof schema === "boolean" || !followedKeywords.some((keyword) => keyword in schema))
        return schema;
      const parts = this.#parts(schema, pointer, new Set());
      return parts.alternatives.length > 0 ? true : parts.plain;
    };
    // A comparison is quick beside other steps.
    const compared = (count: number) => this.#effort.spend(count / 8);
    if (options.length > 500)
      throw unsupported(pointer, "oneOf", "with more than 500 schemas is not supported");
    for (let i = 0; i < options.length; i++)
      for (let j = 0; j < i; j++)
        if (!areExclusive(resolved[j], resolved[i], inner, compared))
          throw unsupported(
            pointer,
            "oneOf",
            `has schemas ${j} and ${i} that one value may both fit; use anyOf, or a required property whose values differ`,
          );
  }

  #plain(schema: SchemaObject, pointer: string): Expression {
    const types = typesOf(schema, pointer);
    const values = this.#listedValues(schema, pointer);
    if (values) {
      const kept = values.filter(
        (value) => schema.type === undefined || admitsType(types, typeOfValue(value)),
      );
      const simple = kept.filter((value) => typeof value !== "object" || value === null);
      const others = kept.filter((value) => typeof value === "object" && value !== null);
      return choice(
        oneOf([...new Set(simple.map((value) => JSON.stringify(value)))]),
        ...others.map((value) => writtenValue(value, this.#writing)),
      );
    }
    const options: Expression[] = [];
    const inner = (json: Json | undefined, at: string) => this.#schema(json, at);
    if (types.has("null")) options.push(literal("null"));
    if (types.has("boolean")) options.push(anyBoolean);
    if (types.has("number") || types.has("integer"))
      options.push(numberExpression(schema, pointer, !types.has("number")));
    if (types.has("string")) options.push(stringExpression(schema, pointer));
    if (types.has("array")) options.push(arrayExpression(schema, pointer, this.#writing, inner));
    if (types.has("object")) options.push(objectExpression(schema, pointer, this.#writing, inner));
    return choice(...options);
  }

  #listedValues(schema: SchemaObject, pointer: string): readonly Json[] | undefined {
    if ("enum" in schema) listOf(schema, pointer, "enum");
    const values = valuesOf(schema);
    if (!values) return undefined;
    if (isIntegerFormat(schema.format) && values.some((value) => typeof value === "number"))
      throw unsupported(pointer, "format", "beside enum or const is not supported");
    for (const keyword of constraintsOf(schema))
      if (keywordType(keyword) && values.some((value) => concerns(keyword, value)))
        throw unsupported(pointer, keyword, "beside enum or const is not supported");
    return values;
  }
}

/**
 * Everything after this may recurse, and takes time with what there is; a circle of objects is infinitely deep. An `$id`
 * inside makes a schema of its own, in which pointers begin anew: references there are refused.
 */
function checkShape(root: unknown): void {
  const work: { value: unknown; depth: number; base: string | undefined }[] = [
    { value: root, depth: 0, base: undefined },
  ];
  let size = 0;
  for (let next = work.pop(); next; next = work.pop()) {
    const { value, depth } = next;
    size += typeof value === "string" ? value.length + 1 : 1;
    if (size > sizeLimit)
      throw new CriaError("unsupported", `JSON schema: it has more than ${sizeLimit} characters and values`);
    // JSON text such as 1e400 is read as Infinity, which JSON cannot write: it would come out as null.
    if (typeof value === "number" && !Number.isFinite(value))
      throw new CriaError("unsupported", `JSON schema: the number ${value} is beyond what can be written`);
    if (typeof value !== "object" || value === null) continue;
    if (depth > 3 * depthLimit) throw tooDeep();
    const { $id, $ref } = value as { $id?: unknown; $ref?: unknown };
    const base = value !== root && typeof $id === "string" ? $id : next.base;
    if (base !== undefined && typeof $ref === "string")
      throw new CriaError(
        "unsupported",
        `JSON schema: "$ref" ${JSON.stringify($ref)} inside of a schema with an "$id" of its own, ${JSON.stringify(base)}, is not supported`,
      );
    for (const [key, inner] of Object.entries(value)) {
      if (!Array.isArray(value)) size += key.length;
      work.push({ value: inner, depth: depth + 1, base });
    }
  }
}

function tooDeep(): CriaError {
  return new CriaError("unsupported", `JSON schema: nested more than ${depthLimit} deep`);
}

function concerns(keyword: string, value: Json): boolean {
  const type = typeOfValue(value);
  return keywordType(keyword) === (type === "integer" ? "number" : type);
}

const integerFormats: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
};
/** They leave every number valid. */
const numberFormats: readonly Json[] = ["float", "double"];

function isIntegerFormat(format: Json | undefined): format is string {
  return typeof format === "string" && Object.hasOwn(integerFormats, format);
}

const boundKeywords = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] as const;

function numberExpression(schema: SchemaObject, pointer: string, integer: boolean): Expression {
  const range: Partial<Record<(typeof boundKeywords)[number], number>> = {};
  for (const keyword of boundKeywords) {
    const value = schema[keyword];
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isFinite(value) || (keyword === "multipleOf" && value <= 0))
      throw badKeyword(pointer, keyword, keyword === "multipleOf" ? "a number above 0" : "a number", value);
    range[keyword] = value;
  }
  const { format } = schema;
  const limits = isIntegerFormat(format) ? integerFormats[format] : undefined;
  if (format !== undefined && !limits && !numberFormats.includes(format) && !isStringFormat(format))
    throw unsupported(
      pointer,
      "format",
      `${JSON.stringify(format)} of numbers is not supported; these are: ${[...Object.keys(integerFormats), ...numberFormats].join(", ")}`,
    );
  if (!limits && Object.keys(range).length === 0) return integer ? anyInteger : anyNumber;
  // Without a point and a fraction, whatever the type says.
  const whole = limits && { lowest: limits[0], highest: limits[1] };
  return located(pointer, () =>
    numberInRange({ integer: integer || limits !== undefined, ...range, ...whole }),
  );
}

function decodePointer(part: string, pointer: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badKeyword(pointer, "$ref", "a JSON pointer", part);
  }
}
