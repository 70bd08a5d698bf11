import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { dataFile } from "../../tests/data.ts";
import { CriaError } from "../shared/errors.ts";
import { withAddedTokens } from "./added-tokens.ts";
import { vocabularyFromSentencePiece } from "./from-sentence-piece.ts";

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}
const number = (field: number, value: number) => [...varint(field * 8), ...varint(value)];
const block = (field: number, bytes: ArrayLike<number>) => [
  ...varint(field * 8 + 2),
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const float = (field: number, value: number) => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];
const piece = (text: string, score: number, kind?: number) =>
  block(1, [
    ...block(1, new TextEncoder().encode(text)),
    ...float(2, score),
    ...(kind ? number(3, kind) : []),
  ]);
/** A negative number takes ten bytes. */
const minusOne = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];

const pieces = [
  ...piece("<unk>", 0, 2),
  ...piece("<s>", 0, 3),
  ...piece("</s>", 0, 3),
  ...piece("<0x0A>", 0, 6),
  ...piece("▁a", -1.5),
];
const bpe = [...number(3, 2), ...varint(43 * 8), ...minusOne];
const trainer = block(2, bpe);
const normalizer = block(3, [...block(1, [105]), ...number(3, 1), ...number(4, 0), ...number(5, 1)]);
const read = (...parts: number[][]) => vocabularyFromSentencePiece(Uint8Array.from(parts.flat()));

test("reads pieces, scores, types, ids and flags", () => {
  const vocabulary = read(pieces, trainer, normalizer);
  expect(vocabulary.pieces).toEqual(["<unk>", "<s>", "</s>", "<0x0A>", "▁a"]);
  expect([...vocabulary.scores]).toEqual([0, 0, 0, 0, -1.5]);
  expect([...vocabulary.kinds]).toEqual([2, 3, 3, 6, 1]);
  expect(vocabulary.special).toEqual({ unknown: 0, bos: 1, eos: 2 });
  expect([vocabulary.addSpacePrefix, vocabulary.removeExtraWhitespaces]).toEqual([true, false]);
});

test("fields that are left out have the schema's defaults, and unknown ones are skipped", () => {
  const others = [
    ...number(90, 300),
    ...block(91, [1, 2, 3]),
    ...float(92, 1),
    ...varint(93 * 8 + 1),
    ...new Array(8).fill(0),
  ];
  const vocabulary = read(others, pieces, trainer);
  expect(vocabulary.removeExtraWhitespaces).toBe(true);
  expect(vocabulary.special.padding).toBeUndefined();
  expect(read(pieces, block(2, [...bpe, ...number(41, 2), ...number(42, 1)])).special).toEqual({
    unknown: 0,
    bos: 2,
    eos: 1,
  });
});

test.each<[string, string, number[][]]>([
  ["unsupported", "another algorithm", [pieces, block(2, number(3, 1))]],
  ["unsupported", "no algorithm named, which means unigram", [pieces]],
  ["unsupported", "spaces after words", [pieces, block(2, [...bpe, ...number(24, 1)])]],
  ["unsupported", "a table of characters", [pieces, trainer, block(3, block(2, [1, 2]))]],
  ["unsupported", "spaces as they are", [pieces, trainer, block(3, number(5, 0))]],
  ["bad-file", "no pieces", [trainer]],
  ["bad-file", "an id that does not exist", [pieces, block(2, [...bpe, ...number(41, 99)])]],
  ["bad-file", "a type that does not exist", [pieces, piece("x", 0, 9), trainer]],
  ["bad-file", "a byte piece of another form", [pieces, piece("x", 0, 6), trainer]],
  ["bad-file", "a piece that is not UTF-8", [block(1, block(1, [255])), trainer]],
  ["bad-file", "a score of 8 bytes", [block(1, [...varint(2 * 8 + 1), ...new Array(8).fill(0)]), trainer]],
  ["bad-file", "a length beyond the end", [[...varint(10), 100]]],
  ["bad-file", "a number without an end", [new Array(20).fill(255)]],
  ["bad-file", "a wire type that does not exist", [[11]]],
  ["bad-file", "field 0", [[0, 0]]],
])("refuses with %s: %s", (code, _, parts) => {
  expect(() => read(...parts)).toThrow(expect.objectContaining({ name: "CriaError", code }));
});

test("damaged bytes give a vocabulary or a CriaError, nothing else", () => {
  const bytes = Uint8Array.from([...pieces, ...trainer, ...normalizer]);
  const attempt = (damaged: Uint8Array) => {
    try {
      vocabularyFromSentencePiece(damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(CriaError);
    }
  };
  for (let length = 0; length < bytes.length; length++) attempt(bytes.slice(0, length));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => attempt(bytes.with(at, value))),
  );
});

const modelFile = dataFile("tokenizers/llama2/tokenizer.model");

test.skipIf(!modelFile)("a shortened tokenizer.model is refused", () => {
  const bytes = readFileSync(modelFile!);
  for (const length of [1, 1000, 100_001, bytes.length - 1])
    expect(() => vocabularyFromSentencePiece(bytes.subarray(0, length))).toThrow(CriaError);
});

test("a list of pieces for tiktoken, which Meta names the same, is told apart", () => {
  const list = new TextEncoder().encode("IQ== 0\nIg== 1\nIw== 2\n");
  expect(() => vocabularyFromSentencePiece(list)).toThrow(/tiktoken, as Llama 3 has it/);
});

test("takes added tokens and settings from the files beside it", () => {
  const plain = read(pieces, trainer, normalizer);
  const config = JSON.stringify({
    add_bos_token: false,
    add_eos_token: true,
    eos_token: { content: "<|im_end|>" },
    added_tokens_decoder: {
      0: { content: "<unk>", special: true },
      2: { content: "</s>", special: true },
      6: { content: "<|im_end|>", special: true },
      7: { content: "<note>", special: false },
      // The model's embedding has no row for it.
      8: { content: "[PAD]", special: true },
    },
  });
  const changed = withAddedTokens(plain, { config }, 8);
  expect(changed.pieces).toEqual([...plain.pieces, "[PAD5]", "<|im_end|>", "<note>"]);
  expect([...changed.kinds]).toEqual([...plain.kinds, 5, 3, 4]);
  expect(changed.scores).toHaveLength(8);
  expect(changed).toMatchObject({ addBos: false, addEos: true, special: { bos: 1, eos: 6 } });

  const old = withAddedTokens(plain, { added: JSON.stringify({ "<|im_start|>": 5, note: 6 }) });
  expect(old.pieces.slice(5)).toEqual(["<|im_start|>", "note"]);
  expect([...old.kinds.slice(5)]).toEqual([3, 4]);
  expect(old).toMatchObject({ addBos: true, special: plain.special });

  const bad = (files: Parameters<typeof withAddedTokens>[1]) => () => withAddedTokens(plain, files);
  const code = expect.objectContaining({ name: "CriaError", code: "bad-file" });
  expect(bad({ added: '{"a": 1e9}' })).toThrow(code);
  expect(bad({ added: '{"a": "1"}' })).toThrow(code);
  expect(bad({ config: '{"added_tokens_decoder": {"x": {"content": "a"}}}' })).toThrow(code);
});
