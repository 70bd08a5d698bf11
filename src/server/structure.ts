/**
 * What a request says an answer must be, as a constraint: a JSON schema, any JSON object, a regular expression, or a
 * grammar.
 *
 * Flow: response_format and its like → constraintOf → grammar/ → Constraint → generate.ts.
 */
import type { Constraint } from "../generate/constraint.ts";
import { keptConstraint } from "../generate/kept-constraint.ts";
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
  return keptConstraint(tokenizer, structure, () => compileWith(tokenizer, structure, param));
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
