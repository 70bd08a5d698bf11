/**
 * What a request says about tools: which may be called, and whether the answer must be a call.
 *
 * An answer that must be a call is constrained to {"name": …, "arguments": …} with the arguments' schema; the chat
 * template's own spelling does not matter then, since the parser reads that one too.
 *
 * Flow: tools, tool_choice → toolPlan → ToolParser (names), generate.ts (constraint).
 */
import type { Constraint } from "../../generate/constraint.ts";
import type { Model } from "../../generate/model.ts";
import { RequestError } from "../http/errors.ts";
import type { GenerationFields, JsonSchema } from "../openai/fields.ts";
import type { ChatRequest, ToolDefinition } from "../openai/requests.ts";
import { compile, structureOf } from "../structure.ts";

export interface ToolPlan {
  /** Tools whose calls are looked for in the answer. */
  readonly names: readonly string[];
  readonly constraint?: Constraint;
}

type Fields = GenerationFields & Pick<ChatRequest, "tools" | "tool_choice">;

/**
 * What the answer may and must be: a call, what `response_format` says, or either of the two.
 *
 * @throws {RequestError} 400 for a choice of a tool that is not there, for a schema that cannot be met, or for wishes that
 * exclude each other.
 */
export function toolPlan(model: Model, fields: Fields): ToolPlan {
  const { tools = [], tool_choice: choice = "auto" } = fields;
  const asked = structureOf(fields);
  if (choice !== "none" && choice !== "auto") {
    const wanted =
      choice === "required" ? tools : tools.filter((tool) => tool.function.name === choice.function.name);
    if (wanted.length === 0 || asked)
      throw new RequestError(
        400,
        asked
          ? `${asked.param}: cannot be met by an answer that must call a tool`
          : choice === "required"
            ? "tool_choice: is required, but there are no tools"
            : `tool_choice: there is no tool ${JSON.stringify(choice.function.name)}`,
        { param: asked?.param ?? "tool_choice" },
      );
    const schema = callSchema(wanted.map((tool) => tool.function));
    const constraint = compile(model, { kind: "json", schema }, "tools");
    return { names: wanted.map((tool) => tool.function.name), constraint };
  }
  const names = choice === "none" ? [] : tools.map((tool) => tool.function.name);
  if (!asked) return { names };
  const { param, structure } = asked;
  if (names.length === 0) return { names, constraint: compile(model, structure, param) };
  // Any object may be a call as well.
  if (structure.kind === "object") return { names, constraint: compile(model, structure, param) };
  if (structure.kind !== "json")
    throw new RequestError(400, `${param}: cannot be combined with tools that may be called`, { param });
  const schema = answerOrCall(structure.schema, tools);
  return { names, constraint: compile(model, { kind: "json", schema }, param) };
}

/** JSON of the schema, or a call of one of the tools. */
function answerOrCall(schema: JsonSchema, tools: readonly ToolDefinition[]): JsonSchema {
  const calls = callSchema(tools.map((tool) => tool.function)) as {
    readonly $defs: Readonly<Record<string, unknown>>;
    readonly anyOf: readonly unknown[];
  };
  // No tool's name has a colon.
  const place = "answer:schema";
  return {
    $defs: { ...calls.$defs, [place]: moved(schema, `#/$defs/${place}`) },
    anyOf: [{ $ref: `#/$defs/${place}` }, ...calls.anyOf],
  };
}

/** The JSON of a call of one of the tools. Each tool's schema keeps its own definitions, at a place of its own. */
export function callSchema(functions: readonly ToolDefinition["function"][]): JsonSchema {
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

/** The schema with references that hold at its new place. */
export function moved(schema: unknown, place: string): unknown {
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
