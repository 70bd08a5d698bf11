/**
 * JSON schemas as values, with where they stand; every refusal names a keyword and its JSON pointer.
 *
 * Source: JSON Schema draft 2020-12; the subset of OpenAI's structured outputs and more.
 */
import { CriaError } from "../../shared/errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type SchemaObject = { readonly [keyword: string]: Json };
export type JsonSchema = boolean | SchemaObject;

export type TypeName = "null" | "boolean" | "integer" | "number" | "string" | "array" | "object";
export const typeNames: readonly TypeName[] = [
  "null",
  "boolean",
  "integer",
  "number",
  "string",
  "array",
  "object",
];

/** Say something about a schema, but nothing about which values are valid. */
const annotations = new Set(
  "$schema $id $comment $defs definitions title description default examples example deprecated readOnly writeOnly contentEncoding contentMediaType contentSchema".split(
    " ",
  ),
);

/** Keywords that only concern values of one type. */
const typeOfKeyword: Readonly<Record<string, "string" | "number" | "array" | "object">> = {
  minLength: "string",
  maxLength: "string",
  pattern: "string",
  format: "string",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "number",
  items: "array",
  prefixItems: "array",
  additionalItems: "array",
  minItems: "array",
  maxItems: "array",
  uniqueItems: "array",
  properties: "object",
  required: "object",
  additionalProperties: "object",
  patternProperties: "object",
  propertyNames: "object",
  minProperties: "object",
  maxProperties: "object",
};

const generalKeywords = new Set("type enum const anyOf oneOf allOf not $ref nullable".split(" "));

export function isAnnotation(keyword: string): boolean {
  return annotations.has(keyword) || keyword.startsWith("x-");
}

export function keywordType(keyword: string): "string" | "number" | "array" | "object" | undefined {
  return Object.hasOwn(typeOfKeyword, keyword) ? typeOfKeyword[keyword] : undefined;
}

/** The keywords that decide which values are valid. */
export function constraintsOf(schema: SchemaObject): string[] {
  return Object.keys(schema).filter((keyword) => !isAnnotation(keyword));
}

/** @throws {CriaError} "bad-input" for what is no schema, "unsupported" for a keyword that is not known. */
export function checkSchema(schema: Json | undefined, pointer: string): JsonSchema {
  if (typeof schema === "boolean") return schema;
  if (!isObject(schema))
    throw new CriaError(
      "bad-input",
      `JSON schema ${pointer}: expected an object or a boolean, got ${show(schema)}`,
    );
  for (const keyword of constraintsOf(schema))
    if (!generalKeywords.has(keyword) && !keywordType(keyword)) throw unsupported(pointer, keyword);
  return schema;
}

export function isObject(value: Json | undefined): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function unsupported(pointer: string, keyword: string, why?: string): CriaError {
  return new CriaError(
    "unsupported",
    `JSON schema ${pointerTo(pointer, keyword)}: "${keyword}" ${why ?? "is not supported"}`,
  );
}

export function badKeyword(
  pointer: string,
  keyword: string,
  expected: string,
  value: Json | undefined,
): CriaError {
  return new CriaError(
    "bad-input",
    `JSON schema ${pointerTo(pointer, keyword)}: expected ${expected}, got ${show(value)}`,
  );
}

export function pointerTo(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** A keyword's whole number of at least 0. */
export function countOf(schema: SchemaObject, pointer: string, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw badKeyword(pointer, keyword, "a whole number of at least 0", value);
  return value;
}

/** The schemas in a keyword's list. */
export function listOf(schema: SchemaObject, pointer: string, keyword: string): readonly Json[] {
  const value = schema[keyword];
  if (!Array.isArray(value)) throw badKeyword(pointer, keyword, "a list", value);
  return value;
}

/** The types that a schema admits by its `type` and `nullable`; without them, by the keywords that it uses. */
export function typesOf(schema: SchemaObject, pointer: string): ReadonlySet<TypeName> {
  const { type } = schema;
  const types = new Set<TypeName>();
  if (type === undefined) {
    // A keyword says nothing about other types, but whoever writes minLength means a string.
    for (const keyword of constraintsOf(schema)) {
      const meant = keywordType(keyword);
      if (meant) types.add(meant);
    }
    if (types.size === 0) return new Set(typeNames.filter((name) => name !== "integer"));
  } else {
    for (const name of Array.isArray(type) ? type : [type]) {
      if (typeof name !== "string" || !(typeNames as readonly string[]).includes(name))
        throw badKeyword(pointer, "type", `one of ${typeNames.join(", ")}`, name as Json);
      types.add(name as TypeName);
    }
  }
  if (schema.nullable === true) types.add("null");
  return types;
}

export function typeOfValue(value: Json): TypeName {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as TypeName;
}

export function admitsType(types: ReadonlySet<TypeName>, type: TypeName): boolean {
  return types.has(type) || (type === "integer" && types.has("number"));
}

export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  return canonical(a) === canonical(b);
}

/** A text that is equal for equal values, whatever the order of keys. */
export function canonical(value: Json | undefined): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (isObject(value))
    return `{${Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
      .join()}}`;
  return JSON.stringify(value) ?? "undefined";
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
