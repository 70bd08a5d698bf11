/**
 * Objects and arrays.
 *
 * Properties come in the order in which the schema lists them; optional ones may be left out. As an automaton:
 *
 *   (i, c)   the properties before i are decided, c of them were written (counted up to what the limits need)
 *   (i, c) → (i + 1, c + 1)   writes property i, after a comma if c > 0
 *   (i, c) → (i + 1, c)       leaves it out, if it is not required
 */
import {
  countLimit,
  type Expression,
  empty,
  type GraphEdge,
  literal,
  optional,
  repeat,
  sequence,
} from "../expression.ts";
import { compileRegex } from "../regex/compile.ts";
import { parseRegex } from "../regex/parse.ts";
import { propertyNamesOf } from "./property-names.ts";
import {
  badKeyword,
  checkSchema,
  countOf,
  isObject,
  type Json,
  listOf,
  pointerTo,
  type SchemaObject,
  unsupported,
} from "./schema.ts";
import { located, nameMatcher, stringExcept } from "./strings.ts";
import { anyArray, anyObject, quoted, spelled, type Writing } from "./writing.ts";

/** Makes the expression of a schema inside another. */
export type CompileInner = (schema: Json | undefined, pointer: string) => Expression;

interface Property {
  readonly name: string;
  readonly value: Expression;
  readonly required: boolean;
}

/** Properties that the schema does not name. */
interface Extra {
  readonly key: Expression;
  readonly value: Expression;
}

export function objectExpression(
  schema: SchemaObject,
  pointer: string,
  writing: Writing,
  inner: CompileInner,
): Expression {
  const properties = namedProperties(schema, pointer, inner);
  // Names that are not free: a property that is false may not be written at all.
  const names = [...new Set([...properties.map(({ name }) => name), ...forbiddenNames(schema)])];
  const extra = extraProperties(schema, pointer, names, inner);
  const min = countOf(schema, pointer, "minProperties") ?? 0;
  const max = countOf(schema, pointer, "maxProperties") ?? Number.POSITIVE_INFINITY;
  if (names.length === 0 && extra === "any" && min === 0 && max === Number.POSITIVE_INFINITY)
    return anyObject;
  const free = extra === "any" ? { key: stringExcept(names), value: inner(true, pointer) } : extra;
  // A key that is written twice is one property, so free keys prove no more than one.
  const requiredCount = properties.filter(({ required }) => required).length;
  const least = min <= requiredCount ? 0 : min;
  if (free && least > Math.max(1, requiredCount + 1))
    throw unsupported(
      pointer,
      "minProperties",
      `is ${min}: with free property names only 1 more than the required ones is supported`,
    );
  const most = !free && max >= properties.length ? Number.POSITIVE_INFINITY : max;
  const counted = most === Number.POSITIVE_INFINITY ? least : most;
  // Free properties are counted too: each count is a state of its own.
  if (Math.max(1, properties.length) * counted > 200_000)
    throw unsupported(
      pointer,
      most === Number.POSITIVE_INFINITY ? "minProperties" : "maxProperties",
      `is ${counted} for ${properties.length} properties; their product may be 200000 at most`,
    );
  return sequence(literal("{"), membersOf(properties, free, least, most, writing), literal("}"));
}

function membersOf(
  properties: readonly Property[],
  extra: Extra | undefined,
  min: number,
  max: number,
  { comma, colon, inside }: Writing,
): Expression {
  // Counts above this are told apart by nothing.
  const top = max === Number.POSITIVE_INFINITY ? Math.max(1, min) : max;
  const width = top + 1;
  const count = properties.length;
  const edges: GraphEdge[] = [];
  const stateOf = (i: number, c: number) => i * width + Math.min(c, top);
  const end = (count + 1) * width;
  let stateCount = end + 1;
  const isFull = (c: number) => c === top && max !== Number.POSITIVE_INFINITY;
  const lead = (c: number) => (c === 0 ? inside : comma);
  for (const [i, { name, value, required }] of properties.entries()) {
    // An edge for each count that is possible here, each with a copy of the value.
    for (let c = 0; c <= Math.min(i, top); c++) {
      if (!required) edges.push({ from: stateOf(i, c), to: stateOf(i + 1, c), label: empty });
      if (isFull(c)) continue;
      const label = sequence(lead(c), literal(JSON.stringify(name)), colon, value);
      edges.push({ from: stateOf(i, c), to: stateOf(i + 1, c + 1), label });
    }
  }
  for (let c = 0; c <= top; c++) {
    const from = stateOf(count, c);
    if (c >= min) edges.push({ from, to: end, label: c === 0 ? empty : inside });
    if (!extra || isFull(c)) continue;
    const key = stateCount++;
    edges.push({ from, to: key, label: sequence(lead(c), extra.key) });
    edges.push({ from: key, to: stateOf(count, c + 1), label: sequence(colon, extra.value) });
  }
  return { kind: "graph", stateCount, end, edges };
}

function namedProperties(schema: SchemaObject, pointer: string, inner: CompileInner): Property[] {
  const properties = schema.properties ?? {};
  if (!isObject(properties)) throw badKeyword(pointer, "properties", "an object", properties);
  const listed = schema.required === undefined ? [] : listOf(schema, pointer, "required");
  for (const name of listed)
    if (typeof name !== "string") throw badKeyword(pointer, "required", "names of properties", name);
  const required = new Set(listed as readonly string[]);
  const allowed = propertyNamesOf(schema, pointer);
  const found: Property[] = [];
  const add = (name: string, value: Expression) => {
    if (allowed.admits(name)) found.push({ name, value, required: required.has(name) });
    else if (required.has(name))
      throw badKeyword(pointer, "required", "names that propertyNames admits", name);
  };
  for (const [name, property] of Object.entries(properties)) {
    if (property === false) continue;
    add(name, inner(property, pointerTo(pointerTo(pointer, "properties"), name)));
  }
  // Required or listed by propertyNames, but described by nothing else than additionalProperties.
  for (const name of new Set([...required, ...(allowed.listed ?? [])])) {
    if (Object.hasOwn(properties, name)) {
      if (properties[name] === false && required.has(name))
        throw badKeyword(pointer, "required", "no name whose property is false", name);
      continue;
    }
    if (schema.additionalProperties === false) {
      if (!required.has(name)) continue;
      throw badKeyword(pointer, "required", "names of properties, since there may be no others", name);
    }
    add(name, inner(schema.additionalProperties ?? true, pointerTo(pointer, "additionalProperties")));
  }
  return found;
}

function forbiddenNames({ properties }: SchemaObject): string[] {
  if (!isObject(properties)) return [];
  return Object.keys(properties).filter((name) => properties[name] === false);
}

/** "any" for properties of any name and value; undefined for none. */
function extraProperties(
  schema: SchemaObject,
  pointer: string,
  names: readonly string[],
  inner: CompileInner,
): Extra | "any" | undefined {
  const { additionalProperties, patternProperties } = schema;
  if (patternProperties !== undefined) return patternExtra(schema, pointer, names, inner);
  const allowed = propertyNamesOf(schema, pointer);
  if (allowed.listed) return undefined;
  // Without a word on others, only the named properties are written; an object that names none is free.
  const isOpen =
    additionalProperties === undefined
      ? !("properties" in schema) && names.length === 0
      : additionalProperties !== false;
  if (!isOpen) return undefined;
  const at = pointerTo(pointer, "additionalProperties");
  const isAny = additionalProperties === undefined || checkSchema(additionalProperties, at) === true;
  if (isAny && !allowed.key) return "any";
  if (allowed.key && names.length > 0)
    throw unsupported(pointer, "propertyNames", "beside named properties and free ones is not supported");
  return { key: allowed.key ?? stringExcept(names), value: inner(additionalProperties ?? true, at) };
}

function patternExtra(
  schema: SchemaObject,
  pointer: string,
  names: readonly string[],
  inner: CompileInner,
): Extra | undefined {
  const patterns = schema.patternProperties;
  if (!isObject(patterns)) throw badKeyword(pointer, "patternProperties", "an object", patterns);
  const entries = Object.entries(patterns);
  const { additionalProperties = false } = schema;
  if (entries.length === 0) return undefined;
  if (entries.length > 1 || additionalProperties !== false || "propertyNames" in schema)
    throw unsupported(
      pointer,
      "patternProperties",
      "is supported with one pattern, without additionalProperties and propertyNames",
    );
  const [[pattern, value]] = entries;
  const at = pointerTo(pointerTo(pointer, "patternProperties"), pattern);
  const regex = located(at, () => parseRegex(pattern));
  const matcher = nameMatcher(pattern, at);
  const both = names.find((name) => matcher.test(name));
  if (both !== undefined)
    throw unsupported(
      pointer,
      "patternProperties",
      `matches the named property ${JSON.stringify(both)}, which is not supported`,
    );
  const key = located(at, () => quoted(compileRegex(regex, "search", spelled)));
  return { key, value: inner(value, at) };
}

/** The items that are listed one by one, and those after them; drafts before 2020 wrote them as a list of `items`. */
function tupleOf(
  schema: SchemaObject,
  pointer: string,
): { listed: readonly Json[]; items: Json | undefined; place: string; restPlace: string } {
  if (Array.isArray(schema.items) && schema.prefixItems === undefined)
    return {
      listed: schema.items,
      items: schema.additionalItems,
      place: "items",
      restPlace: "additionalItems",
    };
  const listed = schema.prefixItems === undefined ? [] : listOf(schema, pointer, "prefixItems");
  if (schema.additionalItems !== undefined)
    throw unsupported(pointer, "additionalItems", "is for a list of items");
  return { listed, items: schema.items, place: "prefixItems", restPlace: "items" };
}

export function arrayExpression(
  schema: SchemaObject,
  pointer: string,
  { comma, inside }: Writing,
  inner: CompileInner,
): Expression {
  if (schema.uniqueItems !== undefined && schema.uniqueItems !== false)
    throw unsupported(pointer, "uniqueItems");
  const min = countOf(schema, pointer, "minItems") ?? 0;
  const max = countOf(schema, pointer, "maxItems") ?? Number.POSITIVE_INFINITY;
  for (const [keyword, count] of [["minItems", min] as const, ["maxItems", max] as const])
    if (count > countLimit && count !== Number.POSITIVE_INFINITY)
      throw unsupported(pointer, keyword, `is ${count}; up to ${countLimit} are supported`);
  if (max < min) throw badKeyword(pointer, "maxItems", `at least minItems, ${min}`, max);
  const { listed, items, place, restPlace } = tupleOf(schema, pointer);
  if (
    listed.length === 0 &&
    (items === undefined || items === true) &&
    min === 0 &&
    max === Number.POSITIVE_INFINITY
  )
    return anyArray;
  const first = listed.slice(0, max).map((item, i) => inner(item, pointerTo(pointerTo(pointer, place), i)));
  // A tuple is written whole; after it there is nothing unless `items` or minItems says so.
  const isClosed = items === false || (listed.length > 0 && items === undefined && min <= listed.length);
  const restMin = Math.max(0, min - first.length);
  const restMax = isClosed ? 0 : max - first.length;
  if (restMin > restMax)
    throw badKeyword(pointer, "minItems", `at most ${first.length}, since there are no more items`, min);
  const parts: Expression[] = first.flatMap((item, i) => (i > 0 ? [comma, item] : [item]));
  const rest = restMax > 0 ? inner(items ?? true, pointerTo(pointer, restPlace)) : empty;
  let content: Expression;
  if (parts.length > 0)
    content = {
      kind: "sequence",
      parts: [inside, ...parts, repeat(sequence(comma, rest), restMin, restMax), inside],
    };
  else if (restMax === 0) content = empty;
  else {
    const several = sequence(
      inside,
      rest,
      repeat(sequence(comma, rest), Math.max(0, restMin - 1), restMax - 1),
      inside,
    );
    content = restMin === 0 ? optional(several) : several;
  }
  return sequence(literal("["), content, literal("]"));
}
