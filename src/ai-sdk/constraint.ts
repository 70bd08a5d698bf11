/**
 * What `responseFormat` and `toolChoice` say an answer must be.
 *
 *   toolChoice required, tool   one call, its arguments by the tool's schema
 *   responseFormat json         JSON of the schema, or any object; with tools that may be called also a call
 */
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import type { Constraint } from "../generate/constraint.ts";
import type { Model } from "../generate/model.ts";
import { jsonObjectConstraint, jsonSchemaConstraint } from "../grammar/index.ts";
import type { FunctionDescription } from "../sdk/tool-answer.ts";
import { callSchema, moved } from "../server/tools/tool-plan.ts";
import { CriaError } from "../shared/errors.ts";

/** @throws {CriaError} "unsupported" for a schema that cannot be kept, "bad-input" for a tool that is not there. */
export function constraintOf(
  model: Model,
  functions: readonly FunctionDescription[],
  { responseFormat, toolChoice }: LanguageModelV4CallOptions,
): Constraint | undefined {
  if (toolChoice?.type === "required" || toolChoice?.type === "tool") {
    const wanted =
      toolChoice.type === "tool" ? functions.filter(({ name }) => name === toolChoice.toolName) : functions;
    if (wanted.length === 0)
      throw new CriaError(
        "bad-input",
        toolChoice.type === "tool"
          ? `toolChoice: there is no tool ${toolChoice.toolName}`
          : "toolChoice: there are no tools",
      );
    return kept(model, callsOf(wanted));
  }
  if (responseFormat?.type !== "json") return undefined;
  const { schema } = responseFormat;
  if (functions.length === 0)
    return schema === undefined ? jsonObjectConstraint(model.tokenizer) : kept(model, schema);
  const calls = callsOf(functions);
  const place = "the answer";
  return kept(model, {
    $defs: { ...(calls.$defs as object), [place]: moved(schema ?? { type: "object" }, `#/$defs/${place}`) },
    anyOf: [...(calls.anyOf as object[]), { $ref: `#/$defs/${place}` }],
  });
}

function callsOf(functions: readonly FunctionDescription[]): Record<string, unknown> {
  return callSchema(functions.map((one) => ({ ...one, parameters: { ...one.parameters } }))) as Record<
    string,
    unknown
  >;
}

/** Compiled schemas of each model: an app sends the same few again and again. */
const compiled = new WeakMap<Model, Map<string, Constraint>>();
const keptLimit = 16;

function kept(model: Model, schema: unknown): Constraint {
  const constraints = compiled.get(model) ?? new Map<string, Constraint>();
  compiled.set(model, constraints);
  const key = JSON.stringify(schema);
  const constraint = constraints.get(key) ?? jsonSchemaConstraint(model.tokenizer, schema);
  constraints.delete(key);
  constraints.set(key, constraint);
  if (constraints.size > keptLimit) constraints.delete(constraints.keys().next().value ?? "");
  return constraint;
}
