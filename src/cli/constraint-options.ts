/**
 * The options that hold an answer to a form: a JSON schema, a grammar, a regular expression.
 *
 * The form is read before the model is loaded, and compiled when its tokenizer is there.
 */
import { type Command, Option } from "commander";
import type { Constraint } from "../generate/constraint.ts";
import type { Grammar } from "../grammar/expression.ts";
import { gbnfGrammar } from "../grammar/gbnf.ts";
import { jsonSchemaGrammar } from "../grammar/json-schema/compile.ts";
import { regexGrammar } from "../grammar/regex/index.ts";
import { grammarConstraint } from "../grammar/token-constraint.ts";
import { CriaError } from "../shared/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readTextFile } from "./input.ts";

export interface ConstraintFlags {
  readonly jsonSchema?: string;
  readonly grammar?: string;
  readonly regex?: string;
}

export function addConstraintOptions(command: Command): Command {
  const others = ["jsonSchema", "grammar", "regex"];
  const option = (flags: string, name: string, description: string) =>
    new Option(flags, description).conflicts(others.filter((other) => other !== name));
  return command
    .optionsGroup("Form of the answer:")
    .addOption(
      option("-j, --json-schema <file>", "jsonSchema", "JSON of this schema: a file, or the schema itself"),
    )
    .addOption(
      option("--grammar <file>", "grammar", "what this GBNF grammar derives: a file, or the grammar itself"),
    )
    .addOption(
      option("--regex <pattern>", "regex", "text that this regular expression fits from end to end"),
    );
}

/** Undefined when no form is asked for. */
export async function constraintOf(
  flags: ConstraintFlags,
): Promise<((tokenizer: Tokenizer) => Constraint) | undefined> {
  const grammar = await grammarOf(flags);
  return grammar && ((tokenizer) => grammarConstraint(tokenizer, grammar));
}

async function grammarOf({ jsonSchema, grammar, regex }: ConstraintFlags): Promise<Grammar | undefined> {
  if (regex !== undefined) return regexGrammar(regex);
  if (grammar !== undefined)
    return gbnfGrammar(grammar.includes("::=") ? grammar : await readTextFile(grammar));
  if (jsonSchema === undefined) return undefined;
  const isText = jsonSchema.trimStart().startsWith("{");
  const text = isText ? jsonSchema : await readTextFile(jsonSchema);
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    const where = isText ? "--json-schema" : jsonSchema;
    throw new CriaError("bad-input", `${where}: not JSON: ${(cause as Error).message}`, { cause });
  }
  return jsonSchemaGrammar(schema);
}
