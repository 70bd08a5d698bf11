/**
 * Values of a template as Python shows and compares them: what a chat template writes on the Hugging Face hub comes from
 * Python, and the package that runs templates here shows and compares as JavaScript does.
 *
 * Flow: bounded-interpreter.ts (values) → text, equality.
 * Source: Python's str(), repr(), == and str.strip().
 */
import type { JinjaValue as Value } from "./jinja-engine.ts";

/** str(value), and nothing for an undefined one. */
export function textInPython(value: Value): string {
  if (typeof value.value === "string") return value.value;
  return value.type === "UndefinedValue" ? "" : shown(value);
}

/** repr(value) */
function shown(value: Value): string {
  const content: unknown = value.value;
  if (typeof content === "string") return quoted(content);
  if (typeof content === "boolean") return content ? "True" : "False";
  if (value.type === "NullValue") return "None";
  if (value.type === "UndefinedValue") return "Undefined";
  if (Array.isArray(content)) {
    const items = (content as Value[]).map(shown).join(", ");
    if (value.type !== "TupleValue") return `[${items}]`;
    return content.length === 1 ? `(${items},)` : `(${items})`;
  }
  if (content instanceof Map && value.type === "ObjectValue") {
    const entries = [...(content as Map<string, Value>)].map(
      ([key, item]) => `${quoted(key)}: ${shown(item)}`,
    );
    return `{${entries.join(", ")}}`;
  }
  return value.toString();
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** Private characters stay: they stand for others (special-texts.ts). */
const UNPRINTABLE = /[\\\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(UNPRINTABLE, (character) => {
    const known = ESCAPES[character];
    if (known !== undefined) return known;
    const code = character.codePointAt(0) ?? 0;
    const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(digits as number, "0")}`;
  });
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** a == b: numbers and booleans by value, lists and mappings by their parts, nothing else across types. */
export function equalInPython(a: Value, b: Value): boolean {
  const [left, right]: unknown[] = [a.value, b.value];
  if (isNumeric(left) && isNumeric(right)) return Number(left) === Number(right);
  if (Array.isArray(left) && Array.isArray(right))
    return (
      (a.type === "TupleValue") === (b.type === "TupleValue") &&
      left.length === right.length &&
      (left as Value[]).every((item, index) => equalInPython(item, right[index] as Value))
    );
  if (a.type === "ObjectValue" && b.type === "ObjectValue") {
    const [one, other] = [left as Map<string, Value>, right as Map<string, Value>];
    if (one.size !== other.size) return false;
    for (const [key, item] of one) {
      const match = other.get(key);
      if (match === undefined || !equalInPython(item, match)) return false;
    }
    return true;
  }
  return a.type === b.type && left === right;
}

function isNumeric(value: unknown): value is number | boolean {
  return typeof value === "number" || typeof value === "boolean";
}

/** What str.strip, lstrip or rstrip leaves: without white space, or without the characters that are named. */
export function stripInPython(text: string, method = "strip", named?: string): string {
  const symbols = Array.from(text);
  const isGone =
    named === undefined ? (symbol: string) => SPACE.test(symbol) : (symbol: string) => named.includes(symbol);
  let [start, end] = [0, symbols.length];
  if (method !== "rstrip") while (start < end && isGone(symbols[start])) start++;
  if (method !== "lstrip") while (end > start && isGone(symbols[end - 1])) end--;
  return symbols.slice(start, end).join("");
}

/** Python's white space: other than JavaScript's it has U+001C to U+001F and U+0085, and not U+FEFF. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts these as white space.
const SPACE = /[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
