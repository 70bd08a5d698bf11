/** Strings with length limits, a pattern, a format. Lengths are in characters, as JSON schema counts. */
import { CriaError } from "../../shared/errors.ts";
import { anyCharacter, charactersOf, difference } from "../character-set.ts";
import { countLimit, type Expression, empty, type GraphEdge, repeat } from "../expression.ts";
import { compileRegex, textsOfAll } from "../regex/compile.ts";
import { parseRegex } from "../regex/parse.ts";
import type { Regex } from "../regex/syntax.ts";
import { formatRegex, isImplied, isSaidByPattern, knownFormats } from "./formats.ts";
import { badKeyword, countOf, pointerTo, type SchemaObject, unsupported } from "./schema.ts";
import { anyString, quoted, spelled, stringCharacter } from "./writing.ts";

export function stringExpression(schema: SchemaObject, pointer: string): Expression {
  const min = countOf(schema, pointer, "minLength") ?? 0;
  const max = countOf(schema, pointer, "maxLength") ?? Number.POSITIVE_INFINITY;
  for (const [keyword, count] of [["minLength", min] as const, ["maxLength", max] as const])
    if (count > countLimit && count !== Number.POSITIVE_INFINITY)
      throw unsupported(pointer, keyword, `is ${count}; up to ${countLimit} are supported`);
  if (max < min) throw badKeyword(pointer, "maxLength", `at least minLength, ${min}`, max);
  const regexes = regexesOf(schema, pointer);
  const isFree = min === 0 && max === Number.POSITIVE_INFINITY;
  if (regexes.length === 0) return isFree ? anyString : quoted(repeat(stringCharacter, min, max));
  return located(pointer, () =>
    quoted(
      isFree && regexes.length === 1
        ? compileRegex(regexes[0], "search", spelled)
        : textsOfAll(regexes, min, max, spelled),
    ),
  );
}

function regexesOf(schema: SchemaObject, pointer: string): Regex[] {
  const { pattern, format } = schema;
  const regexes: Regex[] = [];
  if (pattern !== undefined && typeof pattern !== "string")
    throw badKeyword(pointer, "pattern", "a regular expression", pattern);
  if (format !== undefined) {
    if (typeof format !== "string") throw badKeyword(pointer, "format", "a name", format);
    const regex = formatRegex(format);
    if (regex) regexes.push(regex);
    else if (pattern === undefined || !isSaidByPattern(format))
      throw unsupported(
        pointer,
        "format",
        `"${format}" is not supported; these are: ${knownFormats.join(", ")}`,
      );
    if (pattern !== undefined && isImplied(format, pattern)) return regexes;
  }
  if (pattern !== undefined) regexes.push(located(pointerTo(pointer, "pattern"), () => parseRegex(pattern)));
  return regexes;
}

/** Runs something whose errors know nothing of the schema, and says where it was. */
export function located<Result>(pointer: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof CriaError) || error.message.startsWith("JSON schema")) throw error;
    throw new CriaError(error.code, `JSON schema ${pointer}: ${error.message}`, { cause: error });
  }
}

/** A pattern for the names that a schema lists. Our reader takes a few escapes that RegExp does not, such as \-. */
export function nameMatcher(pattern: string, pointer: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CriaError("bad-input", `JSON schema ${pointer}: ${error.message}`, { cause: error });
  }
}

/** Each makes a state whose set of other characters is worked out. */
const exceptLimit = 20_000;

/** Any string but some, each character written in one way, so that no other spelling slips through. */
export function stringExcept(names: readonly string[]): Expression {
  if (names.length === 0) return anyString;
  if (names.reduce((sum, name) => sum + name.length, 0) > exceptLimit)
    throw new CriaError(
      "unsupported",
      `JSON schema: free properties beside names of more than ${exceptLimit} characters in all are not supported`,
    );
  const children: Map<string, number>[] = [new Map()];
  const excluded = new Set<number>();
  for (const name of names) {
    let state = 0;
    for (const character of name) {
      let next = children[state].get(character);
      if (next === undefined) {
        next = children.length;
        children.push(new Map());
        children[state].set(character, next);
      }
      state = next;
    }
    excluded.add(state);
  }
  const free = children.length;
  const end = free + 1;
  const edges: GraphEdge[] = [{ from: free, to: free, label: spelled(anyCharacter) }];
  for (const [state, next] of children.entries()) {
    for (const [character, to] of next)
      edges.push({ from: state, to, label: spelled(charactersOf(character)) });
    const others = difference(anyCharacter, charactersOf([...next.keys()].join("")));
    edges.push({ from: state, to: free, label: spelled(others) });
    if (!excluded.has(state)) edges.push({ from: state, to: end, label: empty });
  }
  edges.push({ from: free, to: end, label: empty });
  return quoted({ kind: "graph", stateCount: end + 1, end, edges });
}
