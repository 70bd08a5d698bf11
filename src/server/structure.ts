/**
 * What a request says an answer must be, as a constraint: a JSON schema, any JSON object, a regular expression, or a
 * grammar. Compiled constraints are kept, since a client sends the same schema with every request.
 *
 * Flow: response_format and its like → constraintOf → grammar/ → Constraint → generate.ts.
 */
import type { Constraint } from "../generate/constraint.ts";
import type { Model } from "../generate/model.ts";
import {
  gbnfConstraint,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  regexConstraint,
} from "../grammar/index.ts";
import { CriaError } from "../shared/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { RequestError } from "./http/errors.ts";
import type { GenerationFields, JsonSchema, ResponseFormat } from "./openai/fields.ts";

/** One way to say what an answer must be. */
export type Structure =
  | { readonly kind: "json"; readonly schema: JsonSchema }
  | { readonly kind: "object" }
  | { readonly kind: "regex"; readonly pattern: string }
  | { readonly kind: "gbnf"; readonly grammar: string };

/** Constraints kept for each tokenizer: the masks of a large grammar take megabytes. */
const MOST_KEPT = 32;
const kept = new WeakMap<Tokenizer, Map<string, Constraint>>();

/** @throws {RequestError} 400 that names the field, for a schema or grammar that cannot be met, or for two of them. */
export function constraintOf(model: Model, fields: GenerationFields): Constraint | undefined {
  const asked = structureOf(fields);
  return asked && compile(model, asked.structure, asked.param);
}

/** What the request says the answer must be, and in which field. @throws {RequestError} 400 for two of them. */
export function structureOf(
  fields: GenerationFields,
): { readonly param: string; readonly structure: Structure } | undefined {
  const [first, second] = structuresOf(fields);
  if (!first) return undefined;
  const [param, structure] = first;
  if (second)
    throw new RequestError(400, `${second[0]}: ${param} already says what the answer must be`, {
      param: second[0],
    });
  return { param, structure };
}

/** @throws {RequestError} 400 that names `param`. */
export function compile(model: Model, structure: Structure, param: string): Constraint {
  const { tokenizer } = model;
  const constraints = kept.get(tokenizer) ?? new Map<string, Constraint>();
  kept.set(tokenizer, constraints);
  const key = JSON.stringify(structure);
  const known = constraints.get(key) ?? compileWith(tokenizer, structure, param);
  // The last used stands last: the first is the one to forget.
  constraints.delete(key);
  constraints.set(key, known);
  if (constraints.size > MOST_KEPT) constraints.delete(constraints.keys().next().value ?? "");
  return known;
}

function compileWith(tokenizer: Tokenizer, structure: Structure, param: string): Constraint {
  try {
    switch (structure.kind) {
      case "json":
        return jsonSchemaConstraint(tokenizer, structure.schema);
      case "object":
        return jsonObjectConstraint(tokenizer);
      case "regex":
        return regexConstraint(tokenizer, structure.pattern);
      case "gbnf":
        return gbnfConstraint(tokenizer, structure.grammar);
    }
    return structure satisfies never;
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    throw new RequestError(400, `${param}: ${error.message}`, { param, code: "unsupported_schema" });
  }
}

function structuresOf(fields: GenerationFields): [string, Structure][] {
  const { response_format: format, json_schema: schema, guided_json: guided } = fields;
  const asked: [string, Structure | undefined][] = [
    ["response_format", format && ofFormat(format)],
    ["json_schema", schema === undefined ? undefined : { kind: "json", schema }],
    ["guided_json", guided === undefined ? undefined : { kind: "json", schema: guided }],
    ["grammar", fields.grammar === undefined ? undefined : { kind: "gbnf", grammar: fields.grammar }],
    [
      "guided_grammar",
      fields.guided_grammar === undefined ? undefined : { kind: "gbnf", grammar: fields.guided_grammar },
    ],
    [
      "guided_regex",
      fields.guided_regex === undefined ? undefined : { kind: "regex", pattern: fields.guided_regex },
    ],
  ];
  return asked.filter((entry): entry is [string, Structure] => entry[1] !== undefined);
}

function ofFormat(format: ResponseFormat): Structure | undefined {
  if (format.type === "text") return undefined;
  if (format.type === "json_object")
    return format.schema === undefined ? { kind: "object" } : { kind: "json", schema: format.schema };
  const schema = format.json_schema?.schema ?? format.schema;
  if (schema === undefined)
    throw new RequestError(400, "response_format.json_schema.schema: expected a JSON schema", {
      param: "response_format",
    });
  return { kind: "json", schema };
}
