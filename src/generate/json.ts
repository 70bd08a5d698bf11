/**
 * Answers that are JSON of a schema, as typed values.
 *
 *   const City = z.object({ name: z.string(), population: z.int().min(0) });
 *   const { value } = await generateJson(model, "A large city: ", City, { maxTokens: 100 });
 *   value.population   // number
 *
 * Flow: schema → grammar/ → constraint → Model → text → JSON.parse → the schema's own check → value.
 */
import { jsonSchemaConstraint } from "../grammar/index.ts";
import type { JsonOptions } from "../grammar/json-schema/compile.ts";
import { CriaError } from "../shared/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatMessage } from "./chat-format/messages.ts";
import type { Constraint } from "./constraint.ts";
import type { GenerateOptions, GenerationResult } from "./generate.ts";
import type { Model } from "./model.ts";
import { isStandardSchema, issuesText, type StandardSchema } from "./standard-schema.ts";

/** A JSON schema (draft 2020-12) as an object. */
export type JsonSchemaObject = Readonly<Record<string, unknown>>;

export interface GenerateJsonOptions extends Omit<GenerateOptions, "constraint">, JsonOptions {}

export interface JsonResult<Value> extends GenerationResult {
  readonly value: Value;
}

/**
 * Answers a prompt (a text to continue, or a conversation) with JSON that fits a schema: a zod schema, another
 * library's Standard JSON Schema, or a plain JSON schema, whose value has the type `unknown`.
 *
 * The model does not see the schema: say in the prompt what is wanted.
 *
 * @throws {CriaError} "unsupported" or "bad-input" for a schema that cannot be kept, before anything is generated;
 * "bad-answer" when `maxTokens` or the context cut the answer, or when a check of the schema fails that JSON schema
 * cannot say (zod's `refine`).
 */
export async function generateJson<Value>(
  model: Model,
  prompt: string | readonly ChatMessage[],
  schema: StandardSchema<Value>,
  options?: GenerateJsonOptions,
): Promise<JsonResult<Value>>;
export async function generateJson(
  model: Model,
  prompt: string | readonly ChatMessage[],
  schema: JsonSchemaObject,
  options?: GenerateJsonOptions,
): Promise<JsonResult<unknown>>;
export async function generateJson(
  model: Model,
  prompt: string | readonly ChatMessage[],
  schema: StandardSchema | JsonSchemaObject,
  { whitespace = "space", ...options }: GenerateJsonOptions = {},
): Promise<JsonResult<unknown>> {
  const constraint = constraintFor(model.tokenizer, schema, whitespace);
  const all = { ...options, constraint };
  const generation = typeof prompt === "string" ? model.generate(prompt, all) : model.chat(prompt, all);
  const result = await generation.result();
  return { ...result, value: await parseJson(result, schema) };
}

/** The value of a whole answer. */
async function parseJson(
  result: GenerationResult,
  schema: StandardSchema | JsonSchemaObject,
): Promise<unknown> {
  let value: unknown;
  try {
    value = JSON.parse(result.text);
  } catch (cause) {
    throw new CriaError(
      "bad-answer",
      `the answer ended (${result.finishReason}) after ${result.ids.length} tokens, before its JSON was complete: ` +
        "give it more room with maxTokens or a longer context",
      { cause },
    );
  }
  if (!isStandardSchema(schema)) return value;
  const checked = await schema["~standard"].validate(value);
  if (checked.issues)
    throw new CriaError("bad-answer", `the answer fails the schema: ${issuesText(checked.issues)}`);
  return checked.value;
}

/**
 * What a schema says, as a JSON schema.
 *
 * @throws {CriaError} "unsupported" for a library's schema that has no JSON form.
 */
export function toJsonSchema(schema: StandardSchema | JsonSchemaObject): JsonSchemaObject {
  if (!isStandardSchema(schema)) return schema;
  const { jsonSchema, vendor } = schema["~standard"];
  if (!jsonSchema)
    throw new CriaError(
      "unsupported",
      `schema: this version of ${vendor} does not give JSON schemas; zod does from 4.2 on`,
    );
  try {
    return jsonSchema.input({ target: "draft-2020-12" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CriaError("unsupported", `schema: ${vendor} cannot write it as a JSON schema: ${reason}`, {
      cause,
    });
  }
}

/** Compiled schemas live as long as the caller's schema object and the tokenizer. */
const compiled = new WeakMap<Tokenizer, WeakMap<object, Map<string, Constraint>>>();

function constraintFor(
  tokenizer: Tokenizer,
  schema: StandardSchema | JsonSchemaObject,
  whitespace: NonNullable<JsonOptions["whitespace"]>,
): Constraint {
  const make = () => jsonSchemaConstraint(tokenizer, toJsonSchema(schema), { whitespace });
  // A plain object can be changed by its owner; a library's schema cannot.
  if (!isStandardSchema(schema)) return make();
  const ofTokenizer = compiled.get(tokenizer) ?? new WeakMap<object, Map<string, Constraint>>();
  compiled.set(tokenizer, ofTokenizer);
  const known = ofTokenizer.get(schema) ?? new Map<string, Constraint>();
  ofTokenizer.set(schema, known);
  const constraint = known.get(whitespace) ?? make();
  known.set(whitespace, constraint);
  return constraint;
}
