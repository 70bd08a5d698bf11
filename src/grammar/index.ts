/**
 * Structured output: what an answer may be, compiled to token masks.
 *
 *   const constraint = regexConstraint(model.tokenizer, /(yes|no)/);
 *   const { text } = await model.generate("Is water wet? ", { constraint }).result();
 *
 * Flow: JSON schema, regular expression or GBNF → Grammar → Automaton → Constraint → generate.
 */
import type { Constraint } from "../generate/constraint.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { gbnfGrammar } from "./gbnf.ts";
import { type JsonOptions, jsonObjectGrammar, jsonSchemaGrammar } from "./json-schema/compile.ts";
import { regexGrammar } from "./regex/index.ts";
import { grammarConstraint } from "./token-constraint.ts";

export type { JsonOptions } from "./json-schema/compile.ts";

/**
 * The answer is JSON that a schema admits (draft 2020-12; docs/structured-output.md lists the keywords).
 *
 * @throws {CriaError} "unsupported" for a keyword that cannot be kept, "bad-input" for a mistake in the schema; both
 * with the JSON pointer.
 */
export function jsonSchemaConstraint(
  tokenizer: Tokenizer,
  schema: unknown,
  options: JsonOptions = {},
): Constraint {
  return grammarConstraint(tokenizer, jsonSchemaGrammar(schema, options));
}

/** The answer is a JSON object, of any content. */
export function jsonObjectConstraint(tokenizer: Tokenizer, options: JsonOptions = {}): Constraint {
  return grammarConstraint(tokenizer, jsonObjectGrammar(options));
}

/**
 * The whole answer fits a regular expression (Unicode mode, as with the flag `u`; ^ and $ need not be written).
 *
 * @throws {CriaError} "bad-input" for a mistake in the pattern, "unsupported" for look-around, back-references, \b.
 */
export function regexConstraint(tokenizer: Tokenizer, pattern: string | RegExp): Constraint {
  return grammarConstraint(tokenizer, regexGrammar(pattern));
}

/**
 * The answer is what the rule `root` of a GBNF grammar derives.
 *
 * @throws {CriaError} "bad-input" or "unsupported", with line and column.
 */
export function gbnfConstraint(tokenizer: Tokenizer, grammar: string): Constraint {
  return grammarConstraint(tokenizer, gbnfGrammar(grammar));
}
