/**
 * Word rules given as regular expressions: each one in turn cuts every part so far into its matches and what lies
 * between them, as the "Split" steps of a tokenizer.json do.
 *
 * A file's expression is translated (\s is Unicode's white space there) and refused when it nests unbounded
 * repetitions or refers back, which is what makes an expression take exponential time.
 *
 * Flow: pretokenize.ts, from-json.ts → patternSplitter → words.
 */
import { CriaError } from "../shared/errors.ts";

/** Calls `onWord` for every word of a text, in order and without gaps. */
export type WordSplitter = (text: string, onWord: (start: number, end: number) => void) => void;

/** GPT-2's expression, as tokenizer.json files and llama.cpp write it. */
export const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Mistral NeMo's. */
export const tekkenPatterns: readonly string[] = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
];

/** What llama.cpp uses for a file that names no rule. */
export const defaultPatterns: readonly string[] = [
  "[\\p{P}\\$\\+<=>\\^~\\|]+",
  gpt2Pattern,
  "\\p{N}+",
  "[0-9][0-9][0-9]",
];

/** @throws {CriaError} code "unsupported" for an expression that cannot be run safely. */
export function patternSplitter(patterns: readonly string[]): WordSplitter {
  const expressions = patterns.map(compile);
  return (text, onWord) => {
    let ends = [text.length];
    try {
      for (const expression of expressions) ends = cutParts(text, ends, expression);
    } catch (error) {
      // The engine's stack for backtracking has a limit that a run of tens of millions of characters can reach.
      throw new CriaError("bad-input", "a word pattern of the tokenizer failed on this text", {
        cause: error,
      });
    }
    let start = 0;
    for (const end of ends) {
      onWord(start, end);
      start = end;
    }
  };
}

/** Cuts every part (given by its end) at the matches inside it. A part is matched alone: `(?!\S)` sees its end. */
function cutParts(text: string, ends: readonly number[], expression: RegExp): number[] {
  const cuts: number[] = [];
  let start = 0;
  for (const end of ends) {
    const part = text.slice(start, end);
    let covered = 0;
    for (const { 0: word, index } of part.matchAll(expression)) {
      if (word === "") continue;
      if (index > covered) cuts.push(start + index);
      covered = index + word.length;
      cuts.push(start + covered);
    }
    if (covered < part.length) cuts.push(end);
    start = end;
  }
  return cuts;
}

function compile(pattern: string): RegExp {
  const refuse = (why: string, cause?: unknown) =>
    new CriaError("unsupported", `the tokenizer's word pattern ${JSON.stringify(pattern)} ${why}`, { cause });
  if (isDangerous(pattern)) throw refuse("nests repetitions or refers back, which can take forever");
  try {
    return new RegExp(translate(pattern), "gu");
  } catch (error) {
    throw refuse("is not a regular expression that JavaScript knows", error);
  }
}

function translate(pattern: string): string {
  return pattern.replace(/\\([\s\S])/gu, (whole, character: string) => {
    if (character === "s") return "\\p{White_Space}";
    if (character === "S") return "\\P{White_Space}";
    if (character === "d") return "\\p{Nd}";
    if (character === "D") return "\\P{Nd}";
    return /[A-Za-z0-9]/.test(character) ? whole : `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

/** Whether a repeated group holds a repetition without an upper bound, or anything refers back to a group. */
function isDangerous(pattern: string): boolean {
  const unbounded = /^(?:[*+]|\{\d*,\})/;
  /** For each open group, whether something in it repeats without bound. */
  const groups = [false];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (character === "\\") {
      at++;
      if (/[1-9k]/.test(pattern[at] ?? "")) return true;
      continue;
    }
    if (character === "[") {
      at = classClose(pattern, at);
    } else if (character === "(") {
      groups.push(false);
    } else if (character === ")") {
      const repeats = groups.pop() ?? false;
      const after = pattern.slice(at + 1, at + 12);
      if (repeats && /^(?:[*+]|\{)/.test(after)) return true;
      if (repeats && groups.length > 0) groups[groups.length - 1] = true;
    }
    if (unbounded.test(pattern.slice(at, at + 12)) && groups.length > 0) groups[groups.length - 1] = true;
  }
  return false;
}

/** The index of the bracket that closes the character class opened at `open`. */
function classClose(pattern: string, open: number): number {
  let at = open + 1;
  if (pattern[at] === "^") at++;
  if (pattern[at] === "]") at++;
  while (at < pattern.length && pattern[at] !== "]") at += pattern[at] === "\\" ? 2 : 1;
  return at;
}
