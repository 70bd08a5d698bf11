import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { byteCharacters, byteLevelVocabulary } from "../../tests/builders/vocabulary.ts";
import { dataFile } from "../../tests/data.ts";
import { readGgufMetadata } from "../../tests/gguf-metadata.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { vocabularyFromGguf } from "./from-gguf.ts";
import { gpt2Pattern } from "./split-patterns.ts";
import { kindCodes, type Vocabulary } from "./vocabulary.ts";

const merges =
  "h e|l l|he ll|hell o|Ġ hello|Ġ w|o r|Ġw or|Ġwor l|Ġworl d|a a|aa aa|Ã ©|ð Ł|ðŁ ĺ|ðŁĺ Ģ|Ġ Ġ|ĠĠ ĠĠ".split(
    "|",
  );
const tiny = byteLevelVocabulary(merges, ["<|endoftext|>"], { special: { eos: 256 + merges.length } });

/** The rules, word for word. */
function encodeNaively(vocabulary: Vocabulary, text: string): number[] {
  const pattern = new RegExp(
    gpt2Pattern.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"),
    "gu",
  );
  return [...text.toWellFormed().matchAll(pattern)].flatMap(([word]) => {
    const symbols = Array.from(new TextEncoder().encode(word), (byte) => byteCharacters[byte]!);
    for (;;) {
      const ranks = symbols.slice(1).map((right, i) => vocabulary.merges.indexOf(`${symbols[i]} ${right}`));
      const best = Math.min(...ranks.filter((rank) => rank >= 0));
      if (best === Number.POSITIVE_INFINITY) break;
      const at = ranks.indexOf(best);
      symbols.splice(at, 2, symbols[at]! + symbols[at + 1]!);
    }
    return symbols.map((symbol) => vocabulary.pieces.indexOf(symbol));
  });
}

const unit = fc.oneof(
  fc.constantFrom("hello", " world", "a", "é", "😀", "  ", "\n", "'ll", "1", "\udc00"),
  fc.string({ unit: "binary", maxLength: 2 }),
);

test("encoding equals the naive algorithm", () => {
  const tokenizer = createTokenizer(tiny);
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      expect(tokenizer.encode(text)).toEqual(encodeNaively(tiny, text));
    }),
    { numRuns: 300 },
  );
});

test("decoding gives back every text, with the special space too", () => {
  const tokenizer = createTokenizer(tiny);
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.toWellFormed());
    }),
  );
});

test("decoding one by one gives the same text as all at once, and never half a character", () => {
  const tokenizer = createTokenizer(tiny);
  fc.assert(
    fc.property(fc.array(fc.nat(tokenizer.vocabularySize - 1)), fc.boolean(), (ids, showSpecial) => {
      const decoder = tokenizer.decoder({ showSpecial });
      const parts = [...ids.map((id) => decoder.push(id)), decoder.flush()];
      expect(parts.join("")).toBe(tokenizer.decode(ids, { showSpecial }));
      for (const part of parts) expect(part.isWellFormed()).toBe(true);
    }),
  );
  const emoji = [0xf0, 0x9f, 0x98, 0x80];
  expect(tokenizer.decode(emoji)).toBe("😀");
  expect(tokenizer.decode([...emoji.slice(0, 3), 0x41])).toBe("\uFFFD\uFFFD\uFFFDA");
});

test("a leading space is part of the text", () => {
  const tokenizer = createTokenizer(tiny);
  const id = tokenizer.idOf("Ġhello")!;
  expect(tokenizer.encode(" hello")).toEqual([id]);
  expect(tokenizer.decode([id])).toBe(" hello");
  expect(tokenizer.decode([id], { continues: true })).toBe(" hello");
  expect(new TextDecoder().decode(tokenizer.bytesOf(id))).toBe(" hello");
});

test("a whole word that is a piece is taken without merging only where the file says so", () => {
  const withWord = { ...byteLevelVocabulary(["a b", "b c", "ab c"]), preTokenizer: "llama-bpe" };
  // "abc" merges to itself here, so make a piece that merging cannot reach.
  const pieces = [...withWord.pieces, "bcab"];
  const grown = {
    ...withWord,
    pieces,
    scores: new Float32Array(pieces.length),
    kinds: new Uint8Array(pieces.length).fill(1),
  };
  const plain = createTokenizer(grown);
  const whole = createTokenizer({ ...grown, ignoreMerges: true });
  expect(plain.encode("bcab").map((id) => plain.pieceOf(id))).toEqual(["bc", "ab"]);
  expect(whole.encode("bcab").map((id) => whole.pieceOf(id))).toEqual(["bcab"]);
});

test("a byte without a token is left out, also where there is an unknown token", () => {
  const pieces = ["a", "<unk>"];
  const parts = { pieces, merges: [], scores: new Float32Array(2), kinds: Uint8Array.of(1, 2) };
  expect(createTokenizer({ ...tiny, ...parts, special: { unknown: 1 } }).encode("ab")).toEqual([0]);
  expect(createTokenizer({ ...tiny, ...parts, special: {} }).encode("ab")).toEqual([0]);
});

test("a word of a million letters takes seconds", () => {
  const tokenizer = createTokenizer(tiny);
  const start = performance.now();
  expect(tokenizer.encode("a".repeat(1_000_000))).toHaveLength(250_000);
  expect(performance.now() - start).toBeLessThan(5000);
});

test("a piece that was declared special later keeps its merges in the file: a text does not become it", () => {
  for (const kind of [kindCodes.control, kindCodes.user]) {
    const hello = tiny.pieces.indexOf("hello");
    const kinds = tiny.kinds.with(hello, kind);
    const tokenizer = createTokenizer({ ...tiny, kinds });
    const names = (text: string, parseSpecial: boolean) =>
      tokenizer.encode(text, { parseSpecial }).map((id) => tokenizer.pieceOf(id));
    expect(names("hello hello", true)).toEqual(["hello", "Ġ", "hello"]);
    const plain = kind === kindCodes.user ? ["hello", "Ġ", "hello"] : ["hell", "o", "Ġ", "hell", "o"];
    expect(names("hello hello", false)).toEqual(plain);
  }
});

test("merges of pieces that do not exist are refused", () => {
  for (const merge of ["a", "a  b", "zz a", "a q"])
    expect(() => createTokenizer({ ...tiny, merges: [merge] }), merge).toThrow(
      expect.objectContaining({ code: "bad-file" }),
    );
});

const vectorFile = dataFile("tokenizers/vectors/ggml-vocab-gpt-2.gguf");

test.skipIf(vectorFile === undefined)("encodes llama.cpp's test texts as llama.cpp does", () => {
  const tokenizer = createTokenizer(vocabularyFromGguf(readGgufMetadata(vectorFile!)));
  const texts = readFileSync(`${vectorFile}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
  const lines = readFileSync(`${vectorFile}.out`, "utf8").split("\n");
  expect(texts.length).toBeGreaterThan(40);
  for (const [index, text] of texts.entries()) {
    expect(tokenizer.encode(text).join(" "), JSON.stringify(text)).toBe(lines[index]!.trim());
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
});
