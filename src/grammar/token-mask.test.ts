import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { jsonPieces, pieceTokenizer, randomNumbers, randomText } from "../../tests/constrained-text.ts";
import { dataFile } from "../../tests/data.ts";
import { readGgufMetadata } from "../../tests/gguf-metadata.ts";
import { createTokenizer } from "../tokenizer/create-tokenizer.ts";
import { vocabularyFromGguf } from "../tokenizer/from-gguf.ts";
import { vocabularyFromSentencePiece } from "../tokenizer/from-sentence-piece.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { compileGrammar } from "./automaton.ts";
import type { Grammar } from "./expression.ts";
import { gbnfGrammar } from "./gbnf.ts";
import { type Configuration, Machine } from "./machine.ts";
import { grammarConstraint } from "./token-constraint.ts";

const json = `
root   ::= object
value  ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (member ("," ws member)*)? "}"
member ::= string ":" ws value
array  ::= "[" (value ("," ws value)*)? "]"
string ::= "\\"" ([^"\\\\\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\\""
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
ws     ::= " "?
`;

const grammars: readonly [string, string][] = [
  ["JSON", json],
  [
    "lists by right recursion",
    'root ::= item more\nmore ::= ", " item more | ""\nitem ::= [a-z]+ | "(" root ")"',
  ],
  ["ambiguous", 'root ::= (a | b | ab){1,40}\na ::= "a"{1,60}\nb ::= "b"\nab ::= "ab" | "a" b "z"'],
  ["counted in counted", 'root ::= ("[" ([a-c]{2,50} ","){0,30} "]"){1,70} "."?'],
  ["characters of many bytes", 'root ::= ([\\u00e9-\\u00fc] | "日本" | [\\U0001F600-\\U0001F64F] | .){3,80}'],
  [
    "many ways at once",
    'root ::= ("a"? "b"? "c"? "d"? "e"? "1"? "2"? "3"? "the"? "in"? "g"? "x"? " "?)+ "!"',
  ],
  ["spaces first", 'root ::= " "{0,3} "a b"+ " "* '],
];

/** What the machine says of one token after another, byte by byte, without trie or masks. */
function bruteForce(tokenizer: Tokenizer, at: Configuration, machine: Machine, first: boolean): Uint8Array {
  const allowed = new Uint8Array(tokenizer.vocabularySize);
  for (let id = 0; id < allowed.length; id++) {
    const kind = tokenizer.kindOf(id);
    let bytes = kind === "control" || kind === "unknown" ? new Uint8Array() : tokenizer.bytesOf(id);
    if (first && kind !== "byte" && bytes[0] === 32) bytes = bytes.subarray(1);
    let next: Configuration | null = at;
    for (const byte of bytes) next = next && machine.step(next, byte);
    allowed[id] = tokenizer.endIds.has(id) ? Number(at.accepts) : Number(next !== null && bytes.length > 0);
  }
  return allowed;
}

function checkMasks(tokenizer: Tokenizer, grammar: Grammar, seeds: number, limit: number): void {
  const constraint = grammarConstraint(tokenizer, grammar);
  const machine = new Machine(compileGrammar(grammar));
  const row = new Float32Array(tokenizer.vocabularySize);
  for (let seed = 1; seed <= seeds; seed++) {
    const next = randomNumbers(seed);
    const continues = seed % 2 === 0;
    // A byte-level tokenizer keeps the space at the start of a text.
    const drops = !continues && tokenizer.kind === "sentencepiece";
    const state = constraint.start({ continues, endIds: tokenizer.endIds });
    let at = machine.start();
    for (let count = 0; count < limit && !state.finished; count++) {
      row.fill(0);
      state.mask(row);
      const expected = bruteForce(tokenizer, at, machine, count === 0 && drops);
      const wrong = Array.from(row.keys()).filter((id) => (row[id] === 0) !== (expected[id] === 1));
      expect(wrong.map((id) => tokenizer.pieceOf(id))).toEqual([]);
      const allowed = Array.from(row.keys()).filter((id) => row[id] === 0 && !tokenizer.endIds.has(id));
      if (allowed.length === 0) break;
      const id = allowed[Math.floor(next() * allowed.length)];
      state.accept(id);
      let bytes = tokenizer.bytesOf(id);
      if (count === 0 && drops && tokenizer.kindOf(id) !== "byte" && bytes[0] === 32)
        bytes = bytes.subarray(1);
      for (const byte of bytes) at = machine.step(at, byte)!;
    }
  }
}

const tokenizer = pieceTokenizer(jsonPieces);

it.each(grammars)("masks are what each token alone would do: %s", (_, grammar) => {
  checkMasks(tokenizer, gbnfGrammar(grammar), 12, 40);
});

it("holds for Llama 2's vocabulary", ({ skip }) => {
  const path = dataFile("tokenizers/llama2/tokenizer.model");
  if (!path) return skip();
  const llama = createTokenizer(vocabularyFromSentencePiece(readFileSync(path)));
  checkMasks(llama, gbnfGrammar(json), 2, 25);
  checkMasks(llama, gbnfGrammar('root ::= [a-zé日]{3,900} " "? root?'), 2, 10);
});

it("holds where tokens are longer than what counters tell apart", () => {
  const long = [
    "a".repeat(16),
    "a".repeat(17),
    "a".repeat(18),
    "a".repeat(30),
    `${"a".repeat(17)}b`,
    "é".repeat(12),
  ];
  const texts = pieceTokenizer([...long, "aa", "aaaa", "ab", "▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁"]);
  for (const [min, max] of [
    ["0", "17"],
    ["3", "40"],
    ["17", "18"],
    ["30", ""],
    ["18", "33"],
    ["100", "300"],
  ])
    checkMasks(texts, gbnfGrammar(`root ::= ("a" | "é"){${min},${max}} "b" | " "{${min},${max}}`), 8, 40);
  checkMasks(texts, gbnfGrammar('root ::= (("a"{16,19} "b"?){2,20} | "é"{1,60}){1,30}'), 6, 30);
});

it("holds for a byte-level vocabulary", ({ skip }) => {
  const path = dataFile("tokenizers/vectors/ggml-vocab-gpt-2.gguf");
  if (!path) return skip();
  const gpt2 = createTokenizer(vocabularyFromGguf(readGgufMetadata(path)));
  checkMasks(gpt2, gbnfGrammar(json), 2, 15);
  checkMasks(gpt2, gbnfGrammar('root ::= [é日😀a-z]{3,900} " "? root?'), 2, 8);
});

it("bans a token that is out of place, and says which", () => {
  const state = grammarConstraint(tokenizer, gbnfGrammar('root ::= "yes"')).start({
    continues: true,
    endIds: tokenizer.endIds,
  });
  const yes = tokenizer.idOf("yes")!;
  expect(() => state.accept(tokenizer.idOf("no")!)).toThrow('("no") does not fit the grammar here');
  expect(() => state.accept(2)).toThrow('("</s>") does not fit');
  expect(state.finished).toBe(false);
  state.accept(yes);
  expect(state.finished).toBe(true);
  expect(() => state.accept(yes)).toThrow("does not fit");
});

it("says so when the vocabulary cannot spell what the grammar wants", () => {
  const poor = createTokenizerOf(["<unk>", "<s>", "</s>", "▁", "a"]);
  const state = grammarConstraint(poor, gbnfGrammar('root ::= "ab"')).start({
    continues: true,
    endIds: poor.endIds,
  });
  const row = new Float32Array(5);
  state.mask(row);
  expect(Array.from(row)).toEqual([-Infinity, -Infinity, -Infinity, -Infinity, 0]);
  state.accept(4);
  expect(() => state.mask(new Float32Array(5))).toThrow("wants one of the bytes 62");
});

it("goes on after what it kept was dropped, with answers in between", () => {
  const machine = new Machine(compileGrammar(gbnfGrammar(json)), { frames: 9, configurations: 9 });
  const text = '{"a": [[[[{"b": [1, 2, {"cé": "x\\n"}]}]]]], "d": -12.5e+3}';
  let at = machine.start();
  for (const byte of new TextEncoder().encode(text)) {
    at = machine.tidy(at);
    at = machine.step(at, byte)!;
    expect(at).not.toBeNull();
  }
  expect(machine.epoch).toBeGreaterThan(0);
  expect(at.accepts).toBe(true);
  expect(machine.step(machine.tidy(at), 0x7d)).toBeNull();
});

it("shares a constraint between answers that take turns", () => {
  const constraint = grammarConstraint(tokenizer, gbnfGrammar('root ::= "(" root ")" | [a-c]{1,4000}'));
  const alone = [1, 2, 3].map((seed) => randomText(constraint, tokenizer, randomNumbers(seed)).text);
  const states = [1, 2, 3].map(() => constraint.start({ continues: false, endIds: tokenizer.endIds }));
  const fresh = grammarConstraint(tokenizer, gbnfGrammar('root ::= "(" root ")" | [a-c]{1,4000}'));
  expect([1, 2, 3].map((seed) => randomText(fresh, tokenizer, randomNumbers(seed)).text)).toEqual(alone);
  const row = new Float32Array(tokenizer.vocabularySize);
  for (const id of [tokenizer.idOf("(")!, tokenizer.idOf("a")!])
    for (const state of states) {
      row.fill(0);
      state.mask(row);
      expect(row[id]).toBe(0);
      state.accept(id);
    }
});

function createTokenizerOf(pieces: readonly string[]): Tokenizer {
  return createTokenizer({
    model: "llama",
    pieces,
    scores: new Float32Array(pieces.length),
    kinds: Uint8Array.from(pieces, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : 1)),
    merges: [],
    special: { unknown: 0, bos: 1, eos: 2 },
    addBos: false,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
  });
}
