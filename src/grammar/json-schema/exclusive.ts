/** Whether two schemas can be shown to have no value in common; `oneOf` may then be read as `anyOf`. */
import { valuesOf } from "./merge.ts";
import {
  admitsType,
  canonical,
  isObject,
  type JsonSchema,
  type SchemaObject,
  type TypeName,
  typeOfValue,
  typesOf,
} from "./schema.ts";

const depthLimit = 4;

/** `resolve` follows references, `spend` counts comparisons. False only says that no reason was found. */
export function areExclusive(
  a: JsonSchema,
  b: JsonSchema,
  resolve: (schema: JsonSchema) => JsonSchema,
  spend: (steps: number) => void,
  depth = 0,
): boolean {
  spend(1);
  const first = resolve(a);
  const second = resolve(b);
  if (first === false || second === false) return true;
  if (first === true || second === true) return false;
  const ofFirst = valuesOf(first);
  const ofSecond = valuesOf(second);
  if (ofFirst && ofSecond) {
    spend(ofFirst.length + ofSecond.length);
    const texts = new Set(ofFirst.map(canonical));
    return !ofSecond.some((value) => texts.has(canonical(value)));
  }
  const typesOfFirst = knownTypes(first);
  const typesOfSecond = knownTypes(second);
  const shared = [...typesOfFirst].filter(
    (type) => admitsType(typesOfSecond, type) || (type === "number" && typesOfSecond.has("integer")),
  );
  if (shared.length === 0) return true;
  if (shared.every((type) => type === "number" || type === "integer")) return rangesApart(first, second);
  if (shared.length > 1 || shared[0] !== "object" || depth >= depthLimit) return false;
  const required = new Set(Array.isArray(first.required) ? first.required : []);
  for (const name of Array.isArray(second.required) ? second.required : []) {
    if (!required.has(name) || typeof name !== "string") continue;
    const [one, other] = [propertyOf(first, name), propertyOf(second, name)];
    if (one !== undefined && other !== undefined && areExclusive(one, other, resolve, spend, depth + 1))
      return true;
  }
  return false;
}

function knownTypes(schema: SchemaObject): ReadonlySet<TypeName> {
  const values = valuesOf(schema);
  if (!values) return "type" in schema ? typesOf(schema, "") : typesOf({}, "");
  return new Set(values.map(typeOfValue));
}

function rangesApart(a: SchemaObject, b: SchemaObject): boolean {
  const below = (low: SchemaObject, high: SchemaObject) =>
    smaller(low.maximum, high.minimum, false) ||
    smaller(low.exclusiveMaximum, high.minimum, true) ||
    smaller(low.maximum, high.exclusiveMinimum, true) ||
    smaller(low.exclusiveMaximum, high.exclusiveMinimum, true);
  return below(a, b) || below(b, a);
}

function smaller(a: unknown, b: unknown, orEqual: boolean): boolean {
  return typeof a === "number" && typeof b === "number" && (a < b || (orEqual && a === b));
}

function propertyOf(schema: SchemaObject, name: string): JsonSchema | undefined {
  const { properties } = schema;
  if (!isObject(properties) || !Object.hasOwn(properties, name)) return undefined;
  const property = properties[name];
  return typeof property === "boolean" || isObject(property) ? property : undefined;
}
