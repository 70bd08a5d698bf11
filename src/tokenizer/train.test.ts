import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTokenizer } from "./create-tokenizer.ts";
import { vocabularyFromSentencePiece } from "./from-sentence-piece.ts";
import { vocabularyToSentencePiece } from "./to-sentence-piece.ts";
import { type TokenizerTraining, trainTokenizer } from "./train.ts";
import { ChunkCounter } from "./train-words.ts";

const story =
  "Once upon a time there was a little cat. The cat sat on the mat. Don't touch the 12345 hats, said the cat.\n";
const texts = Array.from({ length: 20 }, (_, index) => story.repeat(1 + (index % 3)));
const base: TokenizerTraining = { vocabularySize: 330, controlSymbols: ["<|user|>", "<|assistant|>"] };

describe("a trained tokenizer", () => {
  test("numbers its pieces as SentencePiece does", async () => {
    const { pieces, scores, kinds, special } = await trainTokenizer(texts, base);
    expect(pieces).toHaveLength(330);
    expect(pieces.slice(0, 6)).toEqual(["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<0x00>"]);
    expect([...kinds.slice(0, 6), kinds[261]]).toEqual([2, 3, 3, 3, 3, 6, 1]);
    expect([...scores.slice(258, 264)]).toEqual([0, 0, 0, 0, -1, -2]);
    expect(special).toEqual({ unknown: 0, bos: 1, eos: 2 });
    expect(new Set(pieces).size).toBe(330);
  });

  test("merges the most frequent pairs first, by hand-counted example", async () => {
    // Words: ▁abc ×4, ▁ab ×2, ▁xbc ×3. (b,c) 7 beats (▁,a) 6 and (a,b) 6; then (▁,a) 6 before (▁,x) 3; then (▁a,bc) 4.
    const { pieces } = await trainTokenizer(["abc abc abc abc ab ab xbc xbc xbc"], {
      vocabularySize: 259 + 5 + 3,
    });
    expect(pieces.slice(259, 262)).toEqual(["bc", "▁a", "▁abc"]);
    expect(pieces.slice(-5)).toEqual(["▁", "b", "c", "a", "x"]);
  });

  test("keeps pieces within words, scripts, single digits and the length limit", async () => {
    const options = { ...base, maxPieceLength: 5 };
    const { pieces } = await trainTokenizer([...texts, "мир мир cat猫猫 猫猫"], {
      ...options,
      vocabularySize: 340,
    });
    const learned = pieces.slice(261);
    expect(learned.filter((piece) => [...piece].length > 5)).toEqual([]);
    expect(learned.filter((piece) => piece.indexOf("▁", 1) > 0)).toEqual([]);
    expect(learned.filter((piece) => /\d/.test(piece) && piece.length > 1)).toEqual([]);
    expect(learned.filter((piece) => /[a-z]['.,]|['.,][a-z]|[a-z]猫/i.test(piece))).toEqual([]);
    expect(learned).toContain("猫猫");
    expect(learned.filter((piece) => piece.includes("\n"))).toEqual([]);
  });

  test("gives every text back, whatever it holds", async () => {
    const tokenizer = createTokenizer(await trainTokenizer(texts, base));
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(!text.includes("\u2581"));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.toWellFormed());
      }),
    );
    expect(tokenizer.encode("<|user|>", { parseSpecial: true })).toEqual([3]);
    expect(tokenizer.encode("<|user|>")).not.toContain(3);
    const ids = tokenizer.encode(story);
    expect(ids.length).toBeLessThan(story.length / 2);
  });

  test("is the same after a trip through tokenizer.model", async () => {
    const vocabulary = await trainTokenizer(texts, base);
    const read = vocabularyFromSentencePiece(vocabularyToSentencePiece(vocabulary));
    expect(read).toEqual(vocabulary);
  });

  test("depends on nothing but texts and options", async () => {
    const pair = [await trainTokenizer(texts, base), await trainTokenizer([...texts], base)];
    expect(pair[0]).toEqual(pair[1]);
    async function* later(): AsyncIterable<string> {
      for (const text of texts) yield text;
    }
    expect(await trainTokenizer(later(), base)).toEqual(pair[0]);
  });

  test("covers the asked share of characters and writes the rest as bytes or <unk>", async () => {
    const rare = [...texts, "ж"];
    const covered = createTokenizer(await trainTokenizer(rare, { ...base, characterCoverage: 1 }));
    expect(covered.idOf("ж")).toBeDefined();
    const partly = createTokenizer(await trainTokenizer(rare, { ...base, characterCoverage: 0.99 }));
    expect(partly.idOf("ж")).toBeUndefined();
    expect(partly.decode(partly.encode("ж"))).toBe("ж");
    const without = await trainTokenizer(rare, { vocabularySize: 80, byteFallback: false });
    expect(without.pieces).not.toContain("<0x00>");
    expect(without.pieces).toContain("\n");
    expect(createTokenizer(without).encode("ф")).toContain(0);
  });
});

describe("training a tokenizer refuses", () => {
  const failing: readonly [string, readonly string[], TokenizerTraining, string][] = [
    [
      "a size too small",
      texts,
      { ...base, vocabularySize: 262 },
      "characters of the texts need more than 262",
    ],
    ["a size that the words do not fill", ["ab"], { vocabularySize: 400 }, "words for 264 pieces"],
    ["no text", [], base, "the texts hold no character"],
    ["empty texts", ["", "\n"], base, "the texts hold no character"],
    ["a size that is none", texts, { vocabularySize: 3.5 }, "expected vocabularySize from 4"],
    ["a control symbol twice", texts, { ...base, controlSymbols: ["<a>", "<a>"] }, "each once"],
    ["a control symbol with a space", texts, { ...base, controlSymbols: ["a b"] }, "without spaces"],
    ["coverage 0", texts, { ...base, characterCoverage: 0 }, "characterCoverage above 0"],
  ];
  test.each(failing)("%s", async (_name, given, options, message) => {
    await expect(trainTokenizer(given, options)).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining(message),
    });
  });

  test("to go on when its signal fires", async () => {
    const stop = new AbortController();
    const training = trainTokenizer(texts, {
      ...base,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(training).rejects.toMatchObject({ code: "aborted" });
  });
});

test("counting chunks keeps within its room", () => {
  const counter = new ChunkCounter(true, 100);
  for (let i = 0; i < 50; i++) counter.add("often");
  for (let i = 0; i < 1000; i++) counter.add(`word${i}`);
  expect(counter.counts.size).toBeLessThanOrEqual(100);
  expect(counter.counts.get(" often")).toBe(50);
});
