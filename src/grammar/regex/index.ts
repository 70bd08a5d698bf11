/** A regular expression as a grammar: the whole text must fit. */
import { CriaError } from "../../shared/errors.ts";
import type { Grammar } from "../expression.ts";
import { compileRegex } from "./compile.ts";
import { parseRegex } from "./parse.ts";

/**
 * @throws {CriaError} "bad-input" for a mistake in the pattern, "unsupported" for what no automaton can do.
 */
export function regexGrammar(pattern: string | RegExp): Grammar {
  if (typeof pattern !== "string" && !(pattern instanceof RegExp))
    throw new CriaError(
      "bad-input",
      `regular expression: expected a string or a RegExp, got ${typeof pattern}`,
    );
  const regex = typeof pattern === "string" ? parseRegex(pattern) : parseRegex(pattern.source, pattern.flags);
  return { root: "root", rules: new Map([["root", compileRegex(regex, "whole")]]) };
}
