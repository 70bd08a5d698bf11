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
import type { JsonSchema } from "../openai/fields.ts";
import type { ChatRequest, ToolDefinition } from "../openai/requests.ts";
import { compile } from "../structure.ts";

export interface ToolPlan {
  readonly names: readonly string[];
  readonly constraint?: Constraint;
}

/** @throws {RequestError} 400 for a choice of a tool that is not there, or for a schema that cannot be met. */
export function toolPlan(
  model: Model,
  { tools = [], tool_choice: choice = "auto" }: Pick<ChatRequest, "tools" | "tool_choice">,
): ToolPlan {
  if (choice === "none") return { names: [] };
  const names = tools.map((tool) => tool.function.name);
  if (choice === "auto") return { names };
  const wanted =
    choice === "required" ? tools : tools.filter((tool) => tool.function.name === choice.function.name);
  if (wanted.length === 0)
    throw new RequestError(
      400,
      choice === "required"
        ? "tool_choice: is required, but there are no tools"
        : `tool_choice: there is no tool ${JSON.stringify(choice.function.name)}`,
      { param: "tool_choice" },
    );
  const schema = callSchema(wanted.map((tool) => tool.function));
  return { names, constraint: compile(model, { kind: "json", schema }, "tools") };
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
