/**
 * What a request says about tools: which may be called, and whether the answer must be a call.
 *
 * An answer that must be a call is constrained to the JSON of call-schema.ts; the chat template's own spelling does not
 * matter then, since the parser reads that one too.
 *
 * Flow: tools, tool_choice → toolPlan → ToolParser (names), generate.ts (constraint).
 */
import type { Constraint } from "../generate/constraint.ts";
import type { Model } from "../generate/model.ts";
import { answerOrCall, callSchema } from "../generate/tools/call-schema.ts";
import { RequestError } from "./http/errors.ts";
import type { GenerationFields } from "./openai/fields.ts";
import type { ChatRequest } from "./openai/requests.ts";
import { compile, structureOf } from "./structure.ts";

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
  const schema = answerOrCall(
    structure.schema,
    tools.map((tool) => tool.function),
  );
  return { names, constraint: compile(model, { kind: "json", schema }, param) };
}
