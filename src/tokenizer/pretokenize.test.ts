import fc from "fast-check";
import { expect, test } from "vitest";
import { preTokenizerOf, wordSplitter } from "./pretokenize.ts";
import { gpt2Pattern, patternSplitter, tekkenPatterns } from "./split-patterns.ts";

const afterNumbers = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const anyCase = "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";

/** The rules as regular expressions: what the scanners must equal. */
const definitions: Readonly<Record<string, readonly string[]>> = {
  "gpt-2": [gpt2Pattern],
  smollm: ["\\p{N}", gpt2Pattern],
  "llama-bpe": [`${anyCase}\\p{N}{1,3}${afterNumbers}`],
  qwen2: [`${anyCase}\\p{N}${afterNumbers}`],
  tekken: tekkenPatterns,
};

function wordsOf(splitter: ReturnType<typeof wordSplitter>, text: string): string[] {
  const words: string[] = [];
  splitter(text, (start, end) => words.push(text.slice(start, end)));
  return words;
}

const words = (preTokenizer: string, text: string) =>
  wordsOf(wordSplitter({ preTokenizer, patterns: [] }), text);

const awkward = "aBsStTrReEvVmMlLdDſ''  \t\n\r \u00a0\u3000\u0085\ufeff0123٣½²!?_é日Ж😀\u0301𝕜";
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...awkward), maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t", "a", "1", "!", "'s"), maxLength: 30 }),
  fc.string({ unit: "grapheme" }),
);

for (const [name, patterns] of Object.entries(definitions))
  test(`${name} cuts as its regular expression does, without a gap`, () => {
    const expected = patternSplitter(patterns);
    fc.assert(
      fc.property(text, (sample) => {
        const found = words(name, sample);
        expect(found.join("")).toBe(sample);
        expect(found).toEqual(wordsOf(expected, sample));
      }),
      { numRuns: 1000 },
    );
  });

test("words of each rule, by example", () => {
  const sample = "I'll pay  12345 THEY'RE\n\n  ok";
  expect(words("gpt-2", sample)).toEqual([
    "I",
    "'ll",
    " pay",
    " ",
    " 12345",
    " THEY",
    "'",
    "RE",
    "\n\n ",
    " ok",
  ]);
  expect(words("smollm", "a 12 b")).toEqual(["a", " ", "1", "2", " b"]);
  expect(words("llama-bpe", sample)).toEqual([
    "I",
    "'ll",
    " pay",
    " ",
    " ",
    "123",
    "45",
    " THEY",
    "'RE",
    "\n\n",
    " ",
    " ok",
  ]);
  expect(words("qwen2", "12 b")).toEqual(["1", "2", " b"]);
  expect(words("default", "1234!")).toEqual(["123", "4", "!"]);
});

test("runs of ten million characters are cut in linear time", () => {
  const length = 10_000_000;
  for (const name of ["gpt-2", "smollm", "llama-bpe"])
    for (const run of [" ".repeat(length), `${" ".repeat(length)}x`])
      expect(words(name, run).length).toBeLessThan(3);
});

test("other names of a rule are known, and unknown ones refused", () => {
  expect(preTokenizerOf("starcoder")).toBe("smollm");
  expect(preTokenizerOf("constructor")).toBeUndefined();
  expect(() => words("new-rule", "a")).toThrow(expect.objectContaining({ code: "unsupported" }));
});

test("patterns of a file run one after the other", () => {
  const splitter = wordSplitter({ preTokenizer: "patterns", patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\d"] });
  expect(wordsOf(splitter, "ab 12\n cd!")).toEqual(["ab", " ", "1", "2", "\n", " cd", "!"]);
});

test("patterns that could take forever, or are no patterns, are refused", () => {
  for (const pattern of [
    "(a+)+b",
    "(?:\\s*x*)*",
    "((a*)b){2,}",
    "(a)\\1",
    "(?<name>a)\\k<name>",
    "(unclosed",
  ])
    expect(() => patternSplitter([pattern]), pattern).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
  for (const pattern of ["(?:a|b)+", "[(a+)+]*", "\\(a+\\)+", "(?:a+)?"])
    expect(() => patternSplitter([pattern]), pattern).not.toThrow();
});
