import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../../tests/constrained-text.ts";
import { compileGrammar } from "../automaton.ts";
import { type Configuration, Machine } from "../machine.ts";
import { grammarConstraint } from "../token-constraint.ts";
import { regexGrammar } from "./index.ts";

const tokenizer = pieceTokenizer(jsonPieces);

function matcher(pattern: string | RegExp): (text: string) => boolean {
  const machine = new Machine(compileGrammar(regexGrammar(pattern)));
  return (text) => {
    let at: Configuration | null = machine.start();
    for (const byte of new TextEncoder().encode(text)) {
      at = machine.step(at, byte);
      if (!at) return false;
    }
    return at.accepts;
  };
}

const wholly = (pattern: string, flags = "") => new RegExp(`^(?:${pattern})$`, `u${flags}`);

describe("what fits", () => {
  const cases: [string, string[]][] = [
    ["abc", ["abc", "ab", "abcd", ""]],
    ["", ["", "a"]],
    ["a|b|cd", ["a", "b", "cd", "c", "ab"]],
    ["(a|b)*c", ["c", "ababc", "abab", "cc"]],
    ["a{2}", ["a", "aa", "aaa"]],
    ["a{2,}", ["a", "aa", "aaaaaaa"]],
    ["a{2,4}", ["a", "aa", "aaaa", "aaaaa"]],
    ["(ab){20,60}", ["ab".repeat(19), "ab".repeat(20), "ab".repeat(60), "ab".repeat(61), "a"]],
    [
      "(a{30,40}b){30,}",
      [`${"a".repeat(33)}b`.repeat(30), `${"a".repeat(29)}b`.repeat(30), `${"a".repeat(40)}b`.repeat(99)],
    ],
    ["(a?){3}", ["", "a", "aaa", "aaaa"]],
    ["(a*)*b", ["b", "aab", "a"]],
    ["((a|b?)*)+c", ["c", "abc", "bbc", "d"]],
    ["(a*b*){2,3}", ["", "ab", "aabbab", "ababab", "abababab"]],
    ["[a-c]x[^a-c]", ["axd", "axa", "dxd", "cxé", "bx😀"]],
    ["[^]", ["a", "\n", "😀", ""]],
    ["[\\]\\-a]+", ["]-a", "b"]],
    ["\\d+\\.\\w\\s", ["1._ ", "12.a\u3000", "x.a ", "1.a"]],
    ["\\D\\W\\S", ["a b", "1 b", "aab", "é-é"]],
    [".", ["a", "\n", "\r", "\u2028", "é", "日", "😀", "ab"]],
    ["\\n\\t\\r\\f\\v\\0", ["\n\t\r\f\v\0"]],
    ["\\x41\\u0042\\u{43}\\u{1F600}", ["ABC😀", "ABC"]],
    ["\\ud83d\\ude00", ["😀"]],
    ["[\\u{1F600}-\\u{1F64F}é]", ["😀", "é", "🙏", "a"]],
    ["\\cJ", ["\n"]],
    ["\\p{Lu}\\p{Ll}+", ["Ab", "Éa", "ab", "Жж"]],
    ["\\P{L}", ["1", "a"]],
    ["\\p{Script=Greek}+", ["αβγ", "abc"]],
    ["^ab$", ["ab", "b"]],
    ["^a|b$", ["a", "b", "ab"]],
    ["(?:a)(?<name>b)(c)", ["abc", "ab"]],
    ["a+?b*?c??", ["a", "aab", "abc", "c"]],
    ["[ -~]{0,5}", ["", "a b~", "123456", "é"]],
    ["\\/\\.\\$\\(", ["/.$("]],
  ];
  it.each(cases)("%s", (pattern, texts) => {
    const fits = matcher(pattern);
    for (const text of texts) expect([text, fits(text)]).toEqual([text, wholly(pattern).test(text)]);
  });

  it("takes a RegExp with the flag s", () => {
    expect(matcher(/a.b/s)("a\nb")).toBe(true);
    expect(matcher(/a.b/u)("a\nb")).toBe(false);
  });

  it("agrees with RegExp on random patterns and texts", () => {
    const atom = fc.constantFrom("a", "b", "c", ".", "[ab]", "[^a]", "\\d", "(?:ab|c)", "(?:a|)", "é");
    const { pattern } = fc.letrec((tie) => ({
      pattern: fc.oneof({ depthSize: "small" }, atom, tie("joined"), tie("either"), tie("repeated")),
      joined: fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `${a}${b}`),
      either: fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(?:${a}|${b})`),
      repeated: fc
        .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,30}", "{0}"))
        .map(([a, b]) => `(?:${a})${b}`),
    }));
    const text = fc
      .array(fc.constantFrom("a", "b", "c", "1", "é", "\n"), { maxLength: 8 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        pattern as fc.Arbitrary<string>,
        fc.array(text, { minLength: 10, maxLength: 20 }),
        (source, texts) => {
          const fits = matcher(source);
          const oracle = wholly(source);
          for (const one of texts) expect([source, one, fits(one)]).toEqual([source, one, oracle.test(one)]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe("what comes out", () => {
  it.each([
    "[a-z]{3,8}@[a-z]+\\.com",
    "(yes|no|maybe)(, (yes|no|maybe)){0,5}",
    "\\d{4}-\\d{2}-\\d{2}",
    " *[A-Z][a-z]+ (1|23|456){2,70}",
    ".{5,200}",
    '[^\\n"]{1,20}',
    "(日本|é|😀|\\p{Lu}){1,30}",
    "((a|ab)(c|bcd)(d*)){1,9}",
  ])("%s", (pattern) => {
    const constraint = grammarConstraint(tokenizer, regexGrammar(pattern));
    for (let seed = 1; seed <= 20; seed++)
      for (const continues of [false, true]) {
        const { text, complete } = randomText(constraint, tokenizer, randomNumbers(seed), { continues });
        expect(complete).toBe(true);
        expect(text).toMatch(wholly(pattern));
      }
  });
});

describe("what is refused", () => {
  it.each([
    ["a(?=b)", "unsupported", "character 4: look-ahead"],
    ["(?<!b)a", "unsupported", "character 4: look-behind"],
    ["(a)\\1", "unsupported", "back-reference"],
    ["(?<n>a)\\k<n>", "unsupported", "back-reference"],
    ["\\bword", "unsupported", "word boundary"],
    ["a^b", "unsupported", "^ is supported only at the start"],
    ["(?i:a)", "unsupported", "(?i"],
    ["a{70000}", "unsupported", "counts above"],
    ["(a", "bad-input", "expected )"],
    ["a)", "bad-input", "closes nothing"],
    ["[a", "bad-input", "expected ]"],
    ["[b-a]", "bad-input", "wrong order"],
    ["*a", "bad-input", "character 2: a * with nothing before"],
    ["a{3,2}", "bad-input", "at least 3 and at most 2"],
    ["a**", "bad-input", "quantifier after"],
    ["\\p{Nope}", "bad-input", "no Unicode property Nope"],
    ["\\", "bad-input", "at the end"],
    ["\\01", "bad-input", "a digit after \\0"],
    ["[\\00-9]", "bad-input", "a digit after \\0"],
    ["\\q", "bad-input", "escape \\q"],
    ["\\u{110000}", "bad-input", "number of a character"],
    ["[]", "bad-input", "no finite text"],
  ])("%s", (pattern, code, message) => {
    expect(() => compileGrammar(regexGrammar(pattern))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  it("refuses flags that change what fits", () => {
    expect(() => regexGrammar(/a/i)).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});
