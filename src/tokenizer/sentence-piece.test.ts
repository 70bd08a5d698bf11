import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sentencePieceVocabulary } from "../../tests/builders/vocabulary.ts";
import { dataFile } from "../../tests/data.ts";
import { readGgufMetadata } from "../../tests/gguf-metadata.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { vocabularyFromGguf } from "./from-gguf.ts";
import { vocabularyFromSentencePiece } from "./from-sentence-piece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { kindCodes, type Vocabulary } from "./vocabulary.ts";

/** Words before their parts, pieces across spaces and digits, a piece whose characters are no pieces, and ties. */
const words =
  "he ▁t the ▁the in ing ▁w or ▁wor ▁world ll ello ▁hello aa aaa ab ba ▁a b▁a ▁▁ ▁▁▁ ▁▁▁▁ xy zzz éà 😀! ▁ a b c d e f g h i l n o r t w ! é à".split(
    " ",
  );
const tiny = sentencePieceVocabulary(words);
const tied = sentencePieceVocabulary(words, { scores: new Float32Array(tiny.pieces.length).fill(-1) });

/** The rules, word for word: code points, best score, leftmost, one merge at a time. */
function encodeNaively(vocabulary: Vocabulary, text: string): number[] {
  if (text === "") return [];
  const { pieces, scores, kinds } = vocabulary;
  const idOf = (piece: string) =>
    pieces.findIndex((other, id) => other === piece && kinds[id] === kindCodes.normal);
  const symbols = Array.from(`▁${text.toWellFormed()}`.replaceAll(" ", "▁"));
  for (;;) {
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = idOf(symbols[i]! + symbols[i + 1]!);
      if (id >= 0 && scores[id]! > bestScore) [best, bestScore] = [i, scores[id]!];
    }
    if (best < 0) break;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
  const bytesOf = (symbol: string) => Array.from(new TextEncoder().encode(symbol), (byte) => byte + 3);
  return symbols.flatMap((symbol) => (idOf(symbol) >= 0 ? [idOf(symbol)] : bytesOf(symbol)));
}

const unit = fc.constantFrom(
  ..."aabbhelotwrdin  xyzé à😀!1\n▁".split(/(?:)/u),
  "\ud800",
  "the",
  " world",
  "aaa",
);

describe("a vocabulary of 300 pieces", () => {
  for (const [name, vocabulary] of Object.entries({ tiny, tied }))
    test(`${name}: encoding equals the naive algorithm`, () => {
      const tokenizer = createTokenizer(vocabulary);
      fc.assert(
        fc.property(fc.string({ unit, maxLength: 120 }), (text) => {
          expect(tokenizer.encode(text)).toEqual(encodeNaively(vocabulary, text));
        }),
        { numRuns: 400 },
      );
    });

  test("an added piece of spaces stands for spaces in a text, as in llama.cpp", () => {
    const kinds = tiny.kinds.with(tiny.pieces.indexOf("▁▁"), kindCodes.user);
    const tokenizer = createTokenizer({ ...tiny, kinds });
    const names = (text: string) => tokenizer.encode(text).map((id) => tokenizer.pieceOf(id));
    expect(names(" he  he")).toEqual(["▁▁", "he", "▁▁", "he"]);
    expect(names("x▁▁")).toEqual(["▁", "<0x78>", "▁▁"]);
    expect(tokenizer.decode(tokenizer.encode(" he  he"))).toBe(" he  he");
  });

  test("a piece that was declared special later keeps its merges in the file: a text does not become it", () => {
    const merges = ["h e", "l l", "he ll", "hell o"];
    const listed = sentencePieceVocabulary(["▁", ..."helo", "he", "ll", "hell", "hello"], { merges });
    const kinds = listed.kinds.with(listed.pieces.indexOf("hello"), kindCodes.control);
    const tokenizer = createTokenizer({ ...listed, kinds });
    const names = (parseSpecial: boolean) =>
      tokenizer.encode("hello", { parseSpecial }).map((id) => tokenizer.pieceOf(id));
    expect(names(false)).toEqual(["▁", "hell", "o"]);
    expect(names(true)).toEqual(["hello"]);
  });

  test("decoding gives back every text without U+2581", () => {
    const tokenizer = createTokenizer(tiny);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit }), fc.string({ unit: "binary" })), (text) => {
        const clean = text.replaceAll("▁", "").toWellFormed();
        expect(tokenizer.decode(tokenizer.encode(clean))).toBe(clean);
      }),
    );
  });

  test("decoding one by one gives the same text as all at once", () => {
    const tokenizer = createTokenizer(tiny);
    checkStreaming(tokenizer);
  });

  test("a character without a piece is its bytes, or one unknown token for a run of them", () => {
    const tokenizer = createTokenizer(tiny);
    expect(tokenizer.encode("日")).toEqual([idIn(tokenizer, "▁"), 0xe6 + 3, 0x97 + 3, 0xa5 + 3]);
    const pieces = ["<unk>", "▁", "a"];
    const kinds = Uint8Array.of(kindCodes.unknown, kindCodes.normal, kindCodes.normal);
    const special = { unknown: 0 };
    const plain = createTokenizer({
      ...tiny,
      pieces,
      kinds,
      scores: new Float32Array(3),
      special,
      addBos: false,
    });
    expect(plain.encode("a日本 日a")).toEqual([1, 2, 0, 1, 0, 2]);
    expect(plain.encode("日日")).toEqual([1, 0]);
  });

  test("control names in a text stay text", () => {
    const tokenizer = createTokenizer(sentencePieceVocabulary([..."▁<s>/0xA", "▁<s"]));
    for (const text of ["<s>", "</s>", "<unk>", "<0x0A>"])
      for (const id of tokenizer.encode(text)) expect(["normal", "byte"]).toContain(tokenizer.kindOf(id));
    expect(tokenizer.encode("<0x0A>")).not.toContain(13);
  });

  test("spaces are trimmed and joined where the file says so", () => {
    const tokenizer = createTokenizer({ ...tiny, removeExtraWhitespaces: true });
    expect(tokenizer.encode("  hello   world ")).toEqual(tokenizer.encode("hello world"));
    expect(tokenizer.encode("   ")).toEqual([]);
    expect(tokenizer.decode(["▁", "▁", "▁hello"].map((piece) => idIn(tokenizer, piece)))).toBe("hello");
  });

  test("no space is put before a text where the file says so", () => {
    const tokenizer = createTokenizer({ ...tiny, addSpacePrefix: false });
    expect(tokenizer.encode("hello")).not.toEqual(tokenizer.encode(" hello"));
    expect(tokenizer.decode(tokenizer.encode(" hello"))).toBe(" hello");
  });

  test("a million characters without a space take seconds", () => {
    const tokenizer = createTokenizer(tiny);
    const start = performance.now();
    const ids = tokenizer.encode("ab".repeat(500_000));
    expect(ids.length).toBeGreaterThan(100_000);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("ids that do not exist are refused", () => {
    const tokenizer = createTokenizer(tiny);
    for (const id of [-1, tiny.pieces.length, 0.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: "bad-input" }));
      expect(() => tokenizer.decoder().push(id)).toThrow(expect.objectContaining({ code: "bad-input" }));
      expect(() => tokenizer.pieceOf(id)).toThrow(expect.objectContaining({ code: "bad-input" }));
    }
  });

  test("bytesOf says what a token adds", () => {
    const tokenizer = createTokenizer(tiny);
    const textOf = (id: number) => new TextDecoder().decode(tokenizer.bytesOf(id));
    expect(textOf(idIn(tokenizer, "▁hello"))).toBe(" hello");
    expect([...tokenizer.bytesOf(0xf0 + 3)]).toEqual([0xf0]);
    expect(textOf(1)).toBe("");
    expect(textOf(0)).toBe(" ⁇ ");
  });
});

function idIn(tokenizer: Tokenizer, piece: string): number {
  const id = tokenizer.idOf(piece);
  if (id === undefined) throw new Error(`no piece ${piece}`);
  return id;
}

function checkStreaming(tokenizer: Tokenizer): void {
  const anyId = fc.oneof(fc.nat(tokenizer.vocabularySize - 1), fc.nat(260));
  fc.assert(
    fc.property(fc.array(anyId), fc.boolean(), fc.boolean(), (ids, showSpecial, continues) => {
      const options = { showSpecial, continues };
      const decoder = tokenizer.decoder(options);
      const parts = [...ids.map((id) => decoder.push(id)), decoder.flush()];
      expect(parts.join("")).toBe(tokenizer.decode(ids, options));
      for (const part of parts) expect(part.isWellFormed()).toBe(true);
    }),
  );
}

/** Ids of Llama 2's own tokenizer. */
const vectors: readonly (readonly [text: string, ids: string])[] = [
  ["", ""],
  ["Hello", "15043"],
  ["Hello world", "15043 3186"],
  [" Hello", "29871 15043"],
  ["  Hello", "259 15043"],
  ["   Hello", "1678 15043"],
  ["Hello  world", "15043 29871 3186"],
  ["Hello ", "15043 29871"],
  [" ", "259"],
  ["  ", "1678"],
  ["   ", "268"],
  [" ".repeat(16), "462 29871"],
  [" ".repeat(17), "462 259"],
  [" ".repeat(33), "462 462 259"],
  ["a\nb", "263 13 29890"],
  ["a\n\nb", "263 13 13 29890"],
  ["\n", "29871 13"],
  ["\t", "29871 12"],
  ["\tx", "29871 12 29916"],
  ["x\ty", "921 12 29891"],
  ["\r\n", "6756 13"],
  [" \n ", "259 13 29871"],
  ["2023", "29871 29906 29900 29906 29941"],
  ["I am 25", "306 626 29871 29906 29945"],
  ["12345.678", "29871 29896 29906 29941 29946 29945 29889 29953 29955 29947"],
  ["don't", "1016 29915 29873"],
  ["http://x.y", "1732 597 29916 29889 29891"],
  ["<s>", "529 29879 29958"],
  ["</s>", "1533 29879 29958"],
  ["<0x0A>", "529 29900 29916 29900 29909 29958"],
  ["a▁b", "263 289"],
  ["\u00e9", "904"],
  ["e\u0301", "321 30103"],
  ["日本語", "29871 30325 30346 30968"],
  ["你好", "29871 30919 31076"],
  ["한국어", "29871 30877 31293 31129"],
  ["Привет", "7203 7616"],
  ["αβγ", "19883 30187 30197"],
  ["😀", "29871 243 162 155 131"],
  ["👨\u200d👩\u200d👧", "29871 243 162 148 171 30722 243 162 148 172 30722 243 162 148 170"],
  ["\ufb01", "29871 31017"],
  ["\uff21", "29871 242 191 164"],
  ["\uff11", "29871 31936"],
  ["²", "29871 30088"],
  ["\u00a0x", "20246 29916"],
  ["\u3000x", "29871 30358 29916"],
  ["\ufeffx", "29871 30143 29916"],
  ["\u0000", "29871 3"],
  ["\ufffd", "29871 30140"],
  ["\ud800", "29871 30140"],
  ["def f():\n    return 1\n", "822 285 7295 13 1678 736 29871 29896 13"],
  ["I believe the meaning of life is", "306 4658 278 6593 310 2834 338"],
  [
    "The quick brown fox jumps over the lazy dog.",
    "450 4996 17354 1701 29916 432 17204 975 278 17366 11203 29889",
  ],
  ["[INST] Hi [/INST]", "518 25580 29962 6324 518 29914 25580 29962"],
  ["[INST] Hi [/INST] Hello ", "518 25580 29962 6324 518 29914 25580 29962 15043 29871"],
  [
    "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]",
    "518 25580 29962 3532 14816 29903 6778 13 3629 11473 29889 13 29966 829 14816 29903 6778 13 13 18567 518 29914 25580 29962",
  ],
];

const decodings: readonly (readonly [ids: number[], text: string])[] = [
  [[15043, 3186], "Hello world"],
  [[1, 15043, 2], "Hello"],
  [[29871, 15043], " Hello"],
  [[259, 15043], "  Hello"],
  [[13, 15043], "\n Hello"],
  [[0], " ⁇ "],
  [[0, 15043], " ⁇  Hello"],
  [[29871], ""],
  [[29871, 29871], " "],
  [[243, 162, 155], "\uFFFD\uFFFD\uFFFD"],
  [[243, 162, 155, 131], "😀"],
  [[243, 162, 155, 15043], "\uFFFD\uFFFD\uFFFD Hello"],
  [[1, 29871, 243, 162, 155, 131], "😀"],
];

const modelFile = dataFile("tokenizers/llama2/tokenizer.model");

describe.skipIf(modelFile === undefined)("Llama 2's tokenizer.model", () => {
  const vocabulary = modelFile ? vocabularyFromSentencePiece(readFileSync(modelFile)) : tiny;
  const tokenizer = createTokenizer(vocabulary);

  test("has the pieces, special ids and flags of Llama 2", () => {
    expect(tokenizer.vocabularySize).toBe(32000);
    expect(tokenizer.special).toEqual({ unknown: 0, bos: 1, eos: 2 });
    expect([tokenizer.addBos, tokenizer.addEos, [...tokenizer.endIds]]).toEqual([true, false, [2]]);
    expect([vocabulary.addSpacePrefix, vocabulary.removeExtraWhitespaces]).toEqual([true, false]);
    expect([tokenizer.pieceOf(13), tokenizer.pieceOf(31999), tokenizer.kindOf(13)]).toEqual([
      "<0x0A>",
      "给",
      "byte",
    ]);
  });

  test.each(vectors)("encodes %j", (text, ids) => {
    expect(tokenizer.encode(text).join(" ")).toBe(ids);
    if (!text.includes("▁")) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.toWellFormed());
  });

  test.each(decodings)("decodes %j", (ids, text) => {
    expect(tokenizer.decode(ids)).toBe(text);
  });

  test("decodes names of control tokens on request, and keeps a leading space when it continues a text", () => {
    expect(tokenizer.decode([1, 15043, 2], { showSpecial: true })).toBe("<s> Hello</s>");
    expect(tokenizer.decode([15043], { continues: true })).toBe(" Hello");
  });

  test("streaming equals decoding", () => checkStreaming(tokenizer));

  test("every text comes back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const clean = text.replaceAll("▁", "").toWellFormed();
        expect(tokenizer.decode(tokenizer.encode(clean))).toBe(clean);
      }),
    );
  });
});

const vectorFile = dataFile("tokenizers/vectors/ggml-vocab-llama-spm.gguf");

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
