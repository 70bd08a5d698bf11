/**
 * How JSON is written: white space, strings and the values of any schema.
 *
 *   compact  {"a":1,"b":[1,2]}
 *   space    {"a": 1, "b": [1, 2]}                  one space after : and , as Python writes it
 *   free     a space, or a line end and up to 24 spaces, wherever JSON allows white space
 *
 * White space is bounded, so that no model can go on with it forever; and so are the digits of a number.
 */
import {
  anyCharacter,
  type CharacterSet,
  characterSet,
  charactersOf,
  contains,
  difference,
} from "../character-set.ts";
import {
  characters,
  choice,
  type Expression,
  literal,
  optional,
  reference,
  repeat,
  sequence,
} from "../expression.ts";
import { isObject, type Json } from "./schema.ts";

export type Whitespace = "compact" | "space" | "free";

export interface Writing {
  readonly comma: Expression;
  readonly colon: Expression;
  /** After [ or { and before ] or }. */
  readonly inside: Expression;
}

export function writingOf(whitespace: Whitespace): Writing {
  if (whitespace === "compact") return { comma: literal(","), colon: literal(":"), inside: literal("") };
  if (whitespace === "space") return { comma: literal(", "), colon: literal(": "), inside: literal("") };
  const free = optional(choice(literal(" "), sequence(literal("\n"), repeat(literal(" "), 0, 24))));
  return { comma: sequence(free, literal(","), free), colon: sequence(literal(":"), free), inside: free };
}

const hexDigit = characterSet(0x30, 0x39, 0x41, 0x46, 0x61, 0x66);
const mustEscape = characterSet(0, 0x1f, 0x22, 0x22, 0x5c, 0x5c);
const rawCharacters = difference(anyCharacter, mustEscape);
const shortEscapes: Readonly<Record<number, string>> = {
  8: "b",
  9: "t",
  10: "n",
  12: "f",
  13: "r",
  34: '"',
  92: "\\",
};

/** One character of a set inside a JSON string, written in one way only. */
export function spelled(set: CharacterSet): Expression {
  const options: Expression[] = [];
  const raw = difference(set, mustEscape);
  if (raw.length > 0) options.push(characters(raw));
  let short = "";
  // The last digit of \u0000 to \u000f, and of \u0010 to \u001f.
  const long = ["", ""];
  for (const code of [...Array(32).keys(), 34, 92]) {
    if (!contains(set, code)) continue;
    if (code in shortEscapes) short += shortEscapes[code];
    else long[code >> 4] += (code & 15).toString(16);
  }
  if (short !== "") options.push(sequence(literal("\\"), characters(charactersOf(short))));
  for (const [tens, digits] of long.entries())
    if (digits !== "") options.push(sequence(literal(`\\u00${tens}`), characters(charactersOf(digits))));
  return choice(...options);
}

const hex = characters(hexDigit);
/** One character of a string, written in any way; halves of surrogate pairs only together. */
export const stringCharacter: Expression = choice(
  characters(rawCharacters),
  sequence(
    literal("\\"),
    choice(
      characters(charactersOf('"\\/bfnrt')),
      sequence(
        literal("u"),
        choice(
          sequence(characters(difference(hexDigit, charactersOf("dD"))), hex, hex, hex),
          sequence(characters(charactersOf("dD")), characters(characterSet(0x30, 0x37)), hex, hex),
          sequence(
            characters(charactersOf("dD")),
            characters(charactersOf("89abAB")),
            hex,
            hex,
            literal("\\u"),
            characters(charactersOf("dD")),
            characters(charactersOf("cdefCDEF")),
            hex,
            hex,
          ),
        ),
      ),
    ),
  ),
);

export function quoted(content: Expression): Expression {
  return sequence(literal('"'), content, literal('"'));
}

const digit = characters(characterSet(0x30, 0x39));
const wholePart = sequence(
  optional(literal("-")),
  choice(literal("0"), sequence(characters(characterSet(0x31, 0x39)), repeat(digit, 0, 15))),
);

/** Names of the rules that every schema can use. */
export const anyValue: Expression = reference("any value");
export const anyObject: Expression = reference("any object");
export const anyArray: Expression = reference("any array");
export const anyString: Expression = reference("any string");
export const anyNumber: Expression = reference("any number");
export const anyInteger: Expression = reference("any integer");
export const anyBoolean: Expression = choice(literal("true"), literal("false"));

/** The rules that describe JSON itself. */
export function jsonRules({ comma, colon, inside }: Writing): [string, Expression][] {
  const member = sequence(anyString, colon, anyValue);
  const listOf = (open: string, item: Expression, close: string) =>
    choice(
      literal(open + close),
      sequence(literal(open), inside, item, repeat(sequence(comma, item)), inside, literal(close)),
    );
  return [
    ["any string", quoted(repeat(stringCharacter))],
    ["any integer", wholePart],
    [
      "any number",
      // An exponent of two digits keeps the value finite.
      sequence(
        wholePart,
        optional(sequence(literal("."), repeat(digit, 1, 16))),
        optional(
          sequence(
            characters(charactersOf("eE")),
            optional(characters(charactersOf("+-"))),
            repeat(digit, 1, 2),
          ),
        ),
      ),
    ],
    ["any object", listOf("{", member, "}")],
    ["any array", listOf("[", anyValue, "]")],
    ["any value", choice(anyObject, anyArray, anyString, anyNumber, anyBoolean, literal("null"))],
  ];
}

/** A value as it is written: every way of its white space, but one way of its strings and numbers. */
export function writtenValue(value: Json, writing: Writing): Expression {
  const { comma, colon, inside } = writing;
  if (Array.isArray(value)) {
    if (value.length === 0) return literal("[]");
    const items = value.flatMap((item, i) => [...(i > 0 ? [comma] : []), writtenValue(item, writing)]);
    // No call with all of them: there may be more than a call can take.
    return { kind: "sequence", parts: [literal("["), inside, ...items, inside, literal("]")] };
  }
  if (isObject(value)) {
    const entries = Object.entries(value);
    if (entries.length === 0) return literal("{}");
    const members = entries.flatMap(([key, item], i) => [
      ...(i > 0 ? [comma] : []),
      literal(JSON.stringify(key)),
      colon,
      writtenValue(item, writing),
    ]);
    return { kind: "sequence", parts: [literal("{"), inside, ...members, inside, literal("}")] };
  }
  return literal(JSON.stringify(value));
}
