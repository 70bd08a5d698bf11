import { expect, test } from "vitest";
import { byteLevelVocabulary, sentencePieceVocabulary } from "../../tests/builders/vocabulary.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { withTurnEnd } from "./special-tokens.ts";
import { kindCodes, type Vocabulary } from "./vocabulary.ts";

/** Appends pieces of one kind. */
function withPieces(vocabulary: Vocabulary, added: readonly string[], kind: number): Vocabulary {
  const pieces = [...vocabulary.pieces, ...added];
  const scores = new Float32Array(pieces.length);
  scores.set(vocabulary.scores);
  const kinds = new Uint8Array(pieces.length).fill(kind);
  kinds.set(vocabulary.kinds);
  return { ...vocabulary, pieces, scores, kinds };
}

const spaced = sentencePieceVocabulary(["▁a", "▁b", "▁", "a", "b", "<", ">", "s", "/"]);
const chat = byteLevelVocabulary([], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], {
  special: { bos: 256, eos: 256 },
});
const names = (vocabulary: Vocabulary, text: string, parseSpecial = false) => {
  const tokenizer = createTokenizer(vocabulary);
  return tokenizer.encode(text, { parseSpecial }).map((id) => tokenizer.pieceOf(id));
};

test("names of control tokens are text, unless they are asked for", () => {
  expect(names(spaced, "<s>a")).toEqual(["▁", "<", "s", ">", "a"]);
  expect(names(spaced, "<s>a</s>", true)).toEqual(["<s>", "▁a", "</s>"]);
  expect(names(spaced, "a<unk>", true)).toEqual(["▁a", "<unk>"]);
  expect(createTokenizer(chat).encode("<|im_end|>")).not.toContain(258);
  expect(createTokenizer(chat).encode("<|im_end|>a", { parseSpecial: true })).toEqual([258, 97]);
});

test("the space before a text comes again after each special token, as in llama.cpp", () => {
  expect(names(spaced, "a<s>b", true)).toEqual(["▁a", "<s>", "▁b"]);
  expect(names(spaced, "<s> b", true)).toEqual(["<s>", "▁", "▁b"]);
});

test("user tokens are always taken out, longer ones first wherever they are", () => {
  const vocabulary = withPieces(spaced, ["ab", "bab", "b!"], kindCodes.user);
  expect(names(vocabulary, "ab!")).toEqual(["ab", "<0x21>"].toSpliced(1, 0, "▁"));
  expect(names(vocabulary, "abab")).toEqual(["▁a", "bab"]);
  expect(names(vocabulary, "ababab")).toEqual(["▁a", "bab", "ab"]);
});

test("equal names, empty names and texts without any special token do no harm", () => {
  const vocabulary = withPieces(spaced, ["", "<x>", "<x>"], kindCodes.control);
  const tokenizer = createTokenizer(vocabulary);
  expect(tokenizer.encode("<x>", { parseSpecial: true })).toEqual([spaced.pieces.length + 1]);
  expect(tokenizer.encode("", { parseSpecial: true })).toEqual([]);
});

test("beginning and end go around the text where the model wants them", () => {
  const both = createTokenizer({ ...spaced, addEos: true });
  expect(both.encode("a", { addSpecial: true })).toEqual([1, 259, 2]);
  expect(both.encode("", { addSpecial: true })).toEqual([1, 2]);
  expect(createTokenizer(spaced).encode("a", { addSpecial: true })).toEqual([1, 259]);
  expect(createTokenizer(chat).encode("a", { addSpecial: true })).toEqual([97]);
  const withoutBos = createTokenizer({ ...spaced, special: {} });
  expect(withoutBos.addBos).toBe(false);
  expect(withoutBos.encode("a", { addSpecial: true })).toEqual([259]);
});

test("the end of a turn is found by name, and is never eos itself", () => {
  const found = createTokenizer(withTurnEnd(chat));
  expect(found.special.eot).toBe(258);
  expect(found.endIds).toEqual(new Set([256, 258]));
  const endsTurns = createTokenizer(withTurnEnd({ ...chat, special: { eos: 258 } }));
  expect(endsTurns.special.eot).toBeUndefined();
  expect(endsTurns.endIds).toEqual(new Set([256, 258]));
  const ordinary = withPieces(spaced, ["<|im_end|>"], kindCodes.normal);
  expect(createTokenizer(withTurnEnd(ordinary)).kindOf(ordinary.pieces.length - 1)).toBe("control");
});

test("a token is found by its stored name", () => {
  const tokenizer = createTokenizer(spaced);
  expect(tokenizer.idOf("▁a")).toBe(259);
  expect(tokenizer.idOf("<s>")).toBe(1);
  expect(tokenizer.idOf("nothing")).toBeUndefined();
  expect(tokenizer.kindOf(0)).toBe("unknown");
});

test("half a surrogate pair is U+FFFD for both families", () => {
  for (const vocabulary of [spaced, chat]) {
    const tokenizer = createTokenizer(vocabulary);
    expect(tokenizer.encode("a\ud800")).toEqual(tokenizer.encode("a\ufffd"));
  }
});

test("unused tokens decode to nothing", () => {
  const tokenizer = createTokenizer(withPieces(spaced, ["[PAD]"], kindCodes.unused));
  expect(tokenizer.decode([259, tokenizer.vocabularySize - 1])).toBe("a");
});
