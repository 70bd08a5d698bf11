/**
 * Cuts a text into words for byte-level BPE, whose merges never cross a cut. Models differ only in this rule:
 *
 *   gpt-2      's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   smollm     every number character alone, then gpt-2 on what lies between
 *   llama-bpe  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 *              \s+(?!\S)|\s+, and qwen2 the same with \p{N} for \p{N}{1,3}
 *
 * These are written out as scanners that look at each character at most three times; others run as regular
 * expressions (split-patterns.ts).
 *
 * Flow: text → byte-level.ts → wordSplitter → words.
 * Source: the tokenizer.json files of the models; names as in llama.cpp's tokenizer.ggml.pre.
 */
import { CriaError } from "../shared/errors.ts";
import { classAt, classEnd, letterClass, numberClass, otherClass, spaceClass } from "./character-class.ts";
import { defaultPatterns, patternSplitter, tekkenPatterns, type WordSplitter } from "./split-patterns.ts";
import type { Vocabulary } from "./vocabulary.ts";

const splitters: Readonly<Record<string, () => WordSplitter>> = {
  "gpt-2": () => (text, onWord) => splitGpt2(text, 0, text.length, onWord),
  smollm: () => splitSmollm,
  "llama-bpe": () => (text, onWord) => splitLlama3(text, 3, onWord),
  qwen2: () => (text, onWord) => splitLlama3(text, 1, onWord),
  tekken: () => patternSplitter(tekkenPatterns),
  default: () => patternSplitter(defaultPatterns),
};

/** Other names under which llama.cpp stores the same rules. */
const aliases: Readonly<Record<string, string>> = {
  "": "default",
  "phi-2": "gpt-2",
  mpt: "gpt-2",
  olmo: "gpt-2",
  jais: "gpt-2",
  gigachat: "gpt-2",
  "roberta-bpe": "gpt-2",
  starcoder: "smollm",
  refact: "smollm",
  "command-r": "smollm",
  codeshell: "smollm",
  exaone: "smollm",
  "minerva-7b": "smollm",
  llama3: "llama-bpe",
  "llama-v3": "llama-bpe",
  falcon3: "llama-bpe",
  dbrx: "llama-bpe",
  "smaug-bpe": "llama-bpe",
  "chatglm-bpe": "llama-bpe",
  stablelm2: "qwen2",
  megrez: "qwen2",
  "deepseek-r1-qwen": "qwen2",
};

/** The name in `splitters` of a stored name, or undefined when the rule is not known. */
export function preTokenizerOf(stored: string): string | undefined {
  const name = Object.hasOwn(aliases, stored) ? aliases[stored]! : stored;
  return Object.hasOwn(splitters, name) ? name : undefined;
}

/**
 * The rule of a vocabulary: calls `onWord` with the start and end of every word, in order and without gaps.
 *
 * @throws {CriaError} code "unsupported" for an unknown rule or a pattern that cannot be run.
 */
export function wordSplitter(vocabulary: Pick<Vocabulary, "preTokenizer" | "patterns">): WordSplitter {
  if (vocabulary.preTokenizer === "patterns") return patternSplitter(vocabulary.patterns);
  const name = preTokenizerOf(vocabulary.preTokenizer);
  if (name !== undefined) return splitters[name]!();
  const known = Object.keys(splitters).join(", ");
  throw new CriaError(
    "unsupported",
    `expected a pre-tokenizer such as ${known}, found ${JSON.stringify(vocabulary.preTokenizer)}`,
  );
}

const newline = 10;
const carriageReturn = 13;
const space = 32;
const apostrophe = 39;

function splitGpt2(
  text: string,
  from: number,
  limit: number,
  onWord: (start: number, end: number) => void,
): void {
  let at = from;
  while (at < limit) {
    const start = at;
    const first = text.charCodeAt(at);
    at += first === apostrophe ? contractionLength(text, at, limit, false) : 0;
    if (at === start) {
      const body = first === space && at + 1 < limit ? at + 1 : at;
      const bodyClass = classAt(text, body);
      at = bodyClass === spaceClass ? blankEnd(text, at, limit) : classEnd(text, body, limit, bodyClass);
    }
    onWord(start, at);
  }
}

const splitSmollm: WordSplitter = (text, onWord) => {
  let at = 0;
  while (at < text.length) {
    if (classAt(text, at) === numberClass) {
      const end = at + characterLength(text, at);
      onWord(at, end);
      at = end;
      continue;
    }
    let limit = at;
    while (limit < text.length && classAt(text, limit) !== numberClass) limit += characterLength(text, limit);
    splitGpt2(text, at, limit, onWord);
    at = limit;
  }
};

function splitLlama3(text: string, digitLimit: number, onWord: (start: number, end: number) => void): void {
  const limit = text.length;
  let at = 0;
  while (at < limit) {
    const start = at;
    const first = text.charCodeAt(at);
    at += first === apostrophe ? contractionLength(text, at, limit, true) : 0;
    if (at === start) at = llama3End(text, start, limit, digitLimit);
    onWord(start, at);
  }
}

function llama3End(text: string, start: number, limit: number, digitLimit: number): number {
  const first = text.charCodeAt(start);
  const firstClass = classAt(text, start);
  if (firstClass === letterClass) return classEnd(text, start, limit, letterClass);
  let at = start + characterLength(text, start);
  if (firstClass === numberClass) {
    for (let count = 1; count < digitLimit && at < limit && classAt(text, at) === numberClass; count++)
      at += characterLength(text, at);
    return at;
  }
  const nextClass = at < limit ? classAt(text, at) : -1;
  if (nextClass === letterClass && !isLineEnd(first)) return classEnd(text, at, limit, letterClass);
  if (firstClass === otherClass || (first === space && nextClass === otherClass)) {
    at = classEnd(text, at, limit, otherClass);
    while (at < limit && isLineEnd(text.charCodeAt(at))) at++;
    return at;
  }
  // White space: up to its last line end if it has one, else as gpt-2.
  const end = classEnd(text, start, limit, spaceClass);
  for (let last = end; last > start; last--) if (isLineEnd(text.charCodeAt(last - 1))) return last;
  return end < limit && end - start > 1 ? end - 1 : end;
}

/** \s+(?!\S)|\s+ : white space, without its last character when a word follows that can take it along. */
function blankEnd(text: string, start: number, limit: number): number {
  const end = classEnd(text, start, limit, spaceClass);
  return end < limit && end - start > 1 ? end - 1 : end;
}

/** Units of 's 't 're 've 'm 'll 'd at an apostrophe, or 0. */
function contractionLength(text: string, at: number, limit: number, ignoreCase: boolean): number {
  const letters = text.slice(at + 1, Math.min(at + 3, limit));
  const match = (ignoreCase ? /^(?:s|t|re|ve|m|ll|d)/iu : /^(?:s|t|re|ve|m|ll|d)/).exec(letters);
  return match ? match[0].length + 1 : 0;
}

function isLineEnd(unit: number): boolean {
  return unit === newline || unit === carriageReturn;
}

function characterLength(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff ? 2 : 1;
}
