/**
 * What `responseFormat` and `toolChoice` say an answer must be.
 *
 *   toolChoice required, tool   one call, its arguments by the tool's schema
 *   responseFormat json         JSON of the schema, or any object; with tools that may be called also a call
 */
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import type { Constraint } from "../generate/constraint.ts";
import { keptConstraint } from "../generate/kept-constraint.ts";
import type { Model } from "../generate/model.ts";
import { answerOrCall, callSchema } from "../generate/tools/call-schema.ts";
import { jsonObjectConstraint, jsonSchemaConstraint } from "../grammar/index.ts";
import type { FunctionDescription } from "../sdk/tool-answer.ts";
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
    return fitting(model, callSchema(wanted));
  }
  if (responseFormat?.type !== "json") return undefined;
  const { schema } = responseFormat;
  if (functions.length === 0)
    return schema === undefined ? jsonObjectConstraint(model.tokenizer) : fitting(model, schema);
  return fitting(model, answerOrCall(schema ?? { type: "object" }, functions));
}

function fitting({ tokenizer }: Model, schema: unknown): Constraint {
  return keptConstraint(tokenizer, { kind: "json", schema }, () => jsonSchemaConstraint(tokenizer, schema));
}
