/**
 * Two schemas as one that admits what both admit (`allOf`, and keywords beside `$ref` or `anyOf`).
 *
 * Where one keyword cannot say both, the merge is refused. Equal inputs give the same object again, so that recursive
 * schemas come to an end.
 */
import type { Effort } from "./effort.ts";
import {
  admitsType,
  badKeyword,
  canonical,
  constraintsOf,
  isObject,
  type Json,
  type JsonSchema,
  type SchemaObject,
  sameJson,
  type TypeName,
  typeNames,
  typesOf,
  unsupported,
} from "./schema.ts";

const larger = new Set(["minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum"]);
const smaller = new Set(["maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum"]);

export class Merger {
  readonly #effort: Effort;
  readonly #ids = new Map<object, number>();
  readonly #merged = new Map<string, JsonSchema>();

  constructor(effort: Effort) {
    this.#effort = effort;
  }

  /** @throws {CriaError} "unsupported", naming the keyword that cannot be merged. */
  merge(a: JsonSchema, b: JsonSchema, pointer: string): JsonSchema {
    if (a === true || b === false) return b;
    if (b === true || a === false) return a;
    if (constraintsOf(a).length === 0) return b;
    if (constraintsOf(b).length === 0 || a === b) return a;
    const key = `${this.#idOf(a)},${this.#idOf(b)}`;
    let merged = this.#merged.get(key);
    if (merged === undefined) {
      merged = this.#mergeObjects(a, b, pointer);
      this.#merged.set(key, merged);
    }
    return merged;
  }

  #idOf(schema: SchemaObject): number {
    let id = this.#ids.get(schema);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(schema, id);
    }
    return id;
  }

  #mergeObjects(a: SchemaObject, b: SchemaObject, pointer: string): JsonSchema {
    // References and alternatives are taken apart first; what cannot be joined yet is kept side by side.
    const open = ["$ref", "allOf", "anyOf", "oneOf", "not"].filter((keyword) => keyword in a || keyword in b);
    if (open.length > 0) return { allOf: [a, b] };
    this.#effort.spend(sizeOf(a) + sizeOf(b));
    const merged: Record<string, Json> = {};
    if ("enum" in a || "const" in a || "enum" in b || "const" in b) this.#mergeValues(a, b, merged);
    if ("type" in a || "type" in b || "nullable" in a || "nullable" in b) mergeTypes(a, b, merged, pointer);
    if (merged.type !== undefined && (merged.type as Json[]).length === 0) return false;
    refuseApart(a, b, pointer);
    mergeObjectKeywords(a, b, merged);
    for (const keyword of new Set([...constraintsOf(a), ...constraintsOf(b)])) {
      if (keyword in merged || keyword === "nullable" || keyword === "const" || keyword === "enum") continue;
      merged[keyword] = mergeKeyword(keyword, a[keyword], b[keyword], pointer);
    }
    return merged;
  }

  #mergeValues(a: SchemaObject, b: SchemaObject, merged: Record<string, Json>): void {
    const [first, second] = [valuesOf(a), valuesOf(b)];
    if (first && second) {
      const texts = new Set(second.map(canonical));
      merged.enum = first.filter((value) => texts.has(canonical(value)));
    } else merged.enum = first ?? second ?? [];
  }
}

/** The values that `const` and `enum` leave; undefined without them. */
export function valuesOf(schema: SchemaObject): readonly Json[] | undefined {
  const { enum: listed } = schema;
  const values = Array.isArray(listed) ? (listed as readonly Json[]) : undefined;
  if (!("const" in schema)) return values;
  const value = schema.const;
  return !values || values.some((other) => sameJson(other, value)) ? [value] : [];
}

/** What a merge has to look at. */
function sizeOf({ properties, required, enum: listed }: SchemaObject): number {
  const count = (list: Json | undefined) => (Array.isArray(list) ? list.length : 0);
  return 1 + (isObject(properties) ? Object.keys(properties).length : 0) + count(required) + count(listed);
}

function mergeTypes(a: SchemaObject, b: SchemaObject, merged: Record<string, Json>, pointer: string): void {
  const ofA = "type" in a || "nullable" in a ? typesOf(a, pointer) : new Set<TypeName>(typeNames);
  const ofB = "type" in b || "nullable" in b ? typesOf(b, pointer) : new Set<TypeName>(typeNames);
  const both = typeNames.filter((name) => admitsType(ofA, name) && admitsType(ofB, name));
  merged.type = both.includes("number") ? both.filter((name) => name !== "integer") : both;
}

/**
 * A property must satisfy each schema in which it is named, and the `additionalProperties` of each in which it is not.
 */
function mergeObjectKeywords(a: SchemaObject, b: SchemaObject, merged: Record<string, Json>): void {
  const ofA = isObject(a.properties) ? a.properties : {};
  const ofB = isObject(b.properties) ? b.properties : {};
  const names = new Set([...Object.keys(ofA), ...Object.keys(ofB)]);
  if (names.size > 0) {
    const properties: Record<string, Json> = {};
    for (const name of names) {
      const first = Object.hasOwn(ofA, name) ? ofA[name] : (a.additionalProperties ?? true);
      const second = Object.hasOwn(ofB, name) ? ofB[name] : (b.additionalProperties ?? true);
      const value = bothOf(first, second);
      // Object.defineProperty: a property may be called __proto__.
      Object.defineProperty(properties, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    merged.properties = properties;
  }
  if ("additionalProperties" in a || "additionalProperties" in b)
    merged.additionalProperties = bothOf(a.additionalProperties ?? true, b.additionalProperties ?? true);
  if (Array.isArray(a.required) && Array.isArray(b.required))
    merged.required = [...new Set([...a.required, ...b.required])];
}

/**
 * `items` and `additionalProperties` speak of what their own schema does not name: beside another schema that lists items
 * or patterns of names they would mean something else.
 */
function refuseApart(a: SchemaObject, b: SchemaObject, pointer: string): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const listed = one.prefixItems ?? (Array.isArray(one.items) ? one.items : undefined);
    const listedThere = other.prefixItems ?? (Array.isArray(other.items) ? other.items : undefined);
    const restThere = listedThere ?? other.items ?? true;
    if (listed !== undefined && restThere !== true && !sameJson(listed, listedThere))
      throw unsupported(
        pointer,
        "items",
        "beside a list of items in another schema that must hold is not supported",
      );
    const { additionalProperties: extra = true } = other;
    if (
      "patternProperties" in one &&
      extra !== true &&
      !sameJson(one.patternProperties, other.patternProperties)
    )
      throw unsupported(
        pointer,
        "additionalProperties",
        "beside patternProperties in another schema that must hold is not supported",
      );
  }
}

function bothOf(a: Json, b: Json): Json {
  if (a === false || b === false) return false;
  if (a === true) return b;
  return b === true ? a : { allOf: [a, b] };
}

function mergeKeyword(keyword: string, a: Json | undefined, b: Json | undefined, pointer: string): Json {
  if (a === undefined) return b as Json;
  if (b === undefined || sameJson(a, b)) return a;
  if (larger.has(keyword) || smaller.has(keyword)) {
    if (typeof a !== "number" || typeof b !== "number") throw badKeyword(pointer, keyword, "a number", b);
    return larger.has(keyword) ? Math.max(a, b) : Math.min(a, b);
  }
  if (keyword === "uniqueItems") return a === true || b === true;
  if (keyword === "items" || keyword === "propertyNames") return bothOf(a, b);
  if (keyword === "multipleOf" && typeof a === "number" && typeof b === "number") {
    if (Number.isInteger(a / b)) return a;
    if (Number.isInteger(b / a)) return b;
  }
  throw unsupported(
    pointer,
    keyword,
    "differs between schemas that must both hold, and the two cannot be joined",
  );
}
