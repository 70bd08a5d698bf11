import { describe, expect, it } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../tests/constrained-text.ts";
import { compileGrammar } from "./automaton.ts";
import { gbnfGrammar } from "./gbnf.ts";
import { type Configuration, Machine } from "./machine.ts";
import { grammarConstraint } from "./token-constraint.ts";

function fits(grammar: string, text: string): boolean {
  const machine = new Machine(compileGrammar(gbnfGrammar(grammar)));
  let at: Configuration | null = machine.start();
  for (const byte of new TextEncoder().encode(text)) at = at && machine.step(at, byte);
  return at?.accepts ?? false;
}

const arithmetic = `# sums of products
root ::= (term "=" ws number "\\n")+
term ::= factor ([-+*/] factor)*   # from left to right
factor ::=
  number |
  "(" ws (term
  ")" ws)
number ::= [0-9]+ ws
ws ::= [ \\t\\n]?
`;

describe("reads", () => {
  it.each([
    ['root ::= "a" | "b" "c"', ["a", "bc"], ["b", "abc", ""]],
    ['root ::= ("a" | "b")* "c"?', ["", "abba", "c"], ["ca"]],
    ['root ::= "a"{3}', ["aaa"], ["aa", "aaaa"]],
    ['root ::= "a"{ 2 , }', ["aa", "aaaaa"], ["a"]],
    ["root ::= [a-c]{2,3}", ["ab", "abc"], ["a", "abca", "ad"]],
    ["root ::= [^a-c\\n]+", ["xyz", "é"], ["xa", "\n"]],
    ['root ::= [\\]\\\\\\-^"]+', [']\\-^"'], ["a"]],
    ["root ::= [a-]+", ["a-a"], ["b"]],
    ["root ::= .", ["a", "😀", "\n"], ["ab", ""]],
    ['root ::= "\\x41\\u00e9\\U0001F600\\"\\\\"', ['Aé😀"\\'], ["A"]],
    ['root ::= a-1 b_2\na-1 ::= "x"\nb_2 ::= "y"', ["xy"], ["x"]],
    ['\n\n  root ::= "a" # end\n# all\n', ["a"], [""]],
    ['root ::= "a"\r\nother ::= "b"\r\n', ["a"], ["b"]],
    ['root ::= x x\nx ::= "a" | ""', ["", "a", "aa"], ["aaa"]],
    ['root ::= "(" root ")" | ""', ["", "()", "((()))"], ["(", "())"]],
    [arithmetic, ["1=1\n", "1+(2*3)= 7\n2=2\n"], ["1+=2\n", "1=1"]],
  ])("%s", (grammar, good, bad) => {
    for (const text of good) expect([text, fits(grammar, text)]).toEqual([text, true]);
    for (const text of bad) expect([text, fits(grammar, text)]).toEqual([text, false]);
  });
});

it("repeats a sequence of many optional parts in little memory", () => {
  const many = `root ::= (${"x?".repeat(20_000)} y?)+\nx ::= "a"\ny ::= "b"`;
  const { states } = compileGrammar(gbnfGrammar(many));
  expect(states.length).toBeLessThan(200_000);
  const few = 'root ::= (x? "b"? x? "c"?)+\nx ::= "a"';
  for (const text of ["", "a", "aa", "cab", "bbaaccb"]) expect(fits(few, text)).toBe(true);
  expect(fits(few, "ad")).toBe(false);
});

it("makes texts that its own reader takes", () => {
  const tokenizer = pieceTokenizer(jsonPieces);
  const constraint = grammarConstraint(tokenizer, gbnfGrammar(arithmetic));
  let complete = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const result = randomText(constraint, tokenizer, randomNumbers(seed), { limit: 300, patience: 20 });
    if (!result.complete) continue;
    complete++;
    expect([result.text, fits(arithmetic, result.text)]).toEqual([result.text, true]);
  }
  expect(complete).toBeGreaterThan(10);
});

describe("refuses, with line and column", () => {
  it.each([
    ['root ::= "a"\nb = "c"', "bad-input", "line 2, column 3: expected ::="],
    ["root ::= other", "bad-input", 'line 1, column 10: there is no rule "other"'],
    ['other ::= "a"', "bad-input", 'expected a rule "root"'],
    ['root ::= "a"\nroot ::= "b"', "bad-input", 'line 2, column 1: the rule "root" is defined twice'],
    ['root ::= "a', "bad-input", 'line 1, column 10: expected " to close'],
    ["root ::= [a", "bad-input", "line 1, column 10: expected ] to close"],
    ['root ::= ("a"', "bad-input", "line 1, column 14: expected )"],
    ['root ::= "a"{2', "bad-input", "line 1, column 13: expected {m}"],
    ['root ::= "a"{3,2}', "bad-input", "at least 3 and at most 2"],
    ['root ::= "a" & "b"', "bad-input", "line 1, column 14: expected the end of the line"],
    ['root ::= "\\q"', "bad-input", "line 1, column 11: the escape"],
    ["root ::= [b-a]", "bad-input", "line 1, column 11: a range"],
    ["root ::= <[1]>", "bad-input", "line 1, column 10"],
    ['\nroot ::= root "a" | "b"', "unsupported", "line 2, column 1: left recursion: the rule root → root"],
    [
      'root ::= a\na ::= b? c\nb ::= "x"\nc ::= a "y" | "z"',
      "unsupported",
      "line 2, column 1: left recursion: the rule a → c → a",
    ],
    ['root ::= "a" root', "bad-input", "no finite text"],
    [`root ::= ${"(".repeat(300)}"a"${")".repeat(300)}`, "unsupported", "nested more than 200 deep"],
  ])("%s", (grammar, code, message) => {
    expect(() => compileGrammar(gbnfGrammar(grammar))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
