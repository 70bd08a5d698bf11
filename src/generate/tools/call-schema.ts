/**
 * The JSON schema of an answer that must be a call, {"name": …, "arguments": …}, or may be one.
 *
 * Flow: tools → callSchema, answerOrCall → jsonSchemaConstraint → answer → ToolParser.
 */
import type { ToolDefinition } from "./tool-definition.ts";

type JsonSchema = Readonly<Record<string, unknown>> | boolean;

/** Each tool's schema keeps its own definitions, at a place of its own. */
type CallSchema = Readonly<{
  $defs: Readonly<Record<string, unknown>>;
  anyOf: readonly Readonly<Record<string, unknown>>[];
}>;

/** The JSON of a call of one of the tools. */
export function callSchema(functions: readonly ToolDefinition["function"][]): CallSchema {
  const definitions = functions.map(({ name, parameters = { type: "object", properties: {} } }) => [
    name,
    moved(parameters, `#/$defs/${name}`),
  ]);
  return {
    $defs: Object.fromEntries(definitions),
    anyOf: functions.map(({ name }) => ({
      type: "object",
      properties: { name: { const: name }, arguments: { $ref: `#/$defs/${name}` } },
      required: ["name", "arguments"],
      additionalProperties: false,
    })),
  };
}

/** JSON of the schema, or a call of one of the tools. */
export function answerOrCall(
  schema: JsonSchema,
  functions: readonly ToolDefinition["function"][],
): CallSchema {
  const calls = callSchema(functions);
  // The server's check of names allows no colon in them.
  const place = "answer:schema";
  return {
    $defs: { ...calls.$defs, [place]: moved(schema, `#/$defs/${place}`) },
    anyOf: [{ $ref: `#/$defs/${place}` }, ...calls.anyOf],
  };
}

/** The schema with references that hold at its new place. */
function moved(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((item) => moved(item, place));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" && value.startsWith("#")
        ? place + value.slice(1)
        : moved(value, place),
    ]),
  );
}
