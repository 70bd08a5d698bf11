/** `propertyNames`: which names an object may use. */
import type { Expression } from "../expression.ts";
import { valuesOf } from "./merge.ts";
import { checkSchema, constraintsOf, pointerTo, type SchemaObject, typesOf, unsupported } from "./schema.ts";
import { nameMatcher, stringExpression } from "./strings.ts";

export interface PropertyNames {
  readonly admits: (name: string) => boolean;
  /** All names that are allowed, where they are listed. */
  readonly listed?: readonly string[];
  /** How a free name is written, where not every string is allowed. */
  readonly key?: Expression;
}

const stringKeywords = new Set(["type", "minLength", "maxLength", "pattern"]);

export function propertyNamesOf(schema: SchemaObject, pointer: string): PropertyNames {
  if (schema.propertyNames === undefined) return { admits: () => true };
  const at = pointerTo(pointer, "propertyNames");
  const names = checkSchema(schema.propertyNames, at);
  if (names === true || (names !== false && constraintsOf(names).length === 0)) return { admits: () => true };
  if (names === false) return { admits: () => false, listed: [] };
  const values = valuesOf(names);
  const others = constraintsOf(names).filter((keyword) => keyword !== "enum" && keyword !== "const");
  if (values) {
    for (const keyword of others)
      if (keyword !== "type") throw unsupported(at, keyword, "beside enum is not supported");
    const isString = names.type === undefined || typesOf(names, at).has("string");
    const listed = isString ? values.filter((value) => typeof value === "string") : [];
    return { admits: (name) => listed.includes(name), listed };
  }
  for (const keyword of others) if (!stringKeywords.has(keyword)) throw unsupported(at, keyword);
  if (names.type !== undefined && !typesOf(names, at).has("string"))
    return { admits: () => false, listed: [] };
  const key = stringExpression(names, at);
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = names;
  const matcher = typeof pattern === "string" ? nameMatcher(pattern, pointerTo(at, "pattern")) : undefined;
  const isFree = minLength === 0 && maxLength === Number.POSITIVE_INFINITY && !matcher;
  return {
    admits: (name) => {
      const length = Array.from(name).length;
      return length >= Number(minLength) && length <= Number(maxLength) && (matcher?.test(name) ?? true);
    },
    ...(isFree ? {} : { key }),
  };
}
