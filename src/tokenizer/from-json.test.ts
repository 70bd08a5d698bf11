import fc from "fast-check";
import { expect, test } from "vitest";
import {
  byteCharacters,
  byteLevelVocabulary,
  sentencePieceVocabulary,
} from "../../tests/builders/vocabulary.ts";
import { CriaError } from "../shared/errors.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { vocabularyFromGguf } from "./from-gguf.ts";
import { vocabularyFromJson } from "./from-json.ts";
import { gpt2Pattern } from "./split-patterns.ts";
import { vocabularyToGguf } from "./to-gguf.ts";
import type { Vocabulary } from "./vocabulary.ts";

const llama3Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });
const idsOf = (pieces: readonly string[]) => Object.fromEntries(pieces.map((piece, id) => [piece, id]));
const added = (content: string, id: number, special = true) => ({
  id,
  content,
  special,
  lstrip: false,
  normalized: false,
});

/** A file in the form of Llama 3's. */
const llama3 = {
  added_tokens: [
    added("<|begin_of_text|>", 258),
    added("<|end_of_text|>", 259),
    added("<|eot_id|>", 260),
    added("<tool>", 261, false),
  ],
  normalizer: null,
  pre_tokenizer: sequence(split(llama3Pattern), byteLevel),
  post_processor: {
    type: "Sequence",
    processors: [
      { type: "ByteLevel" },
      {
        type: "TemplateProcessing",
        single: [
          { SpecialToken: { id: "<|begin_of_text|>", type_id: 0 } },
          { Sequence: { id: "A", type_id: 0 } },
        ],
      },
    ],
  },
  model: {
    type: "BPE",
    ignore_merges: true,
    vocab: idsOf([...byteCharacters, "ab", "abc"]),
    merges: ["a b", "ab c"],
  },
};

/** A file in the form of Llama 2's. */
const spaced = sentencePieceVocabulary(["▁he", "he", "▁", "h", "e"]);
const llama2 = {
  added_tokens: [added("<unk>", 0), added("<s>", 1), added("</s>", 2)],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null as object | null,
  model: {
    type: "BPE",
    byte_fallback: true,
    fuse_unk: true,
    unk_token: "<unk>",
    vocab: idsOf(spaced.pieces),
    merges: [
      ["▁", "he"],
      ["h", "e"],
    ],
  },
};

const read = (file: object, config?: object) =>
  vocabularyFromJson(JSON.stringify(file), config && JSON.stringify(config));

const throughGguf = (vocabulary: Vocabulary) => vocabularyFromGguf(vocabularyToGguf(vocabulary));

test("reads a byte-level file", () => {
  const vocabulary = read(llama3);
  expect(vocabulary).toMatchObject({
    model: "gpt2",
    preTokenizer: "llama-bpe",
    ignoreMerges: true,
    merges: ["a b", "ab c"],
  });
  expect(vocabulary).toMatchObject({
    addBos: true,
    addEos: false,
    special: { bos: 258, eos: 259, eot: 260 },
  });
  const tokenizer = createTokenizer(vocabulary);
  expect(tokenizer.encode("abc<tool>", { addSpecial: true })).toEqual([258, 257, 261]);
  expect(tokenizer.kindOf(260)).toBe("control");
  expect(tokenizer.endIds).toEqual(new Set([259, 260]));
});

test("reads a file with spaces written as ▁", () => {
  const vocabulary = read(llama2);
  expect(vocabulary).toMatchObject({
    model: "llama",
    addSpacePrefix: true,
    special: { unknown: 0, bos: 1, eos: 2 },
  });
  expect(vocabulary.kinds).toEqual(spaced.kinds);
  const tokenizer = createTokenizer(vocabulary);
  const names = (text: string) => tokenizer.encode(text).map((id) => tokenizer.pieceOf(id));
  expect(names("he\nhe")).toEqual(["▁he", "<0x0A>", "he"]);
  expect(createTokenizer(throughGguf(vocabulary)).encode("he he")).toEqual(tokenizer.encode("he he"));
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
  const newer = read({ ...llama2, normalizer: null, pre_tokenizer: metaspace });
  expect(newer).toEqual({ ...vocabulary, prefixesOnlyStart: true, prefixesOnlyWords: true });
  const namesOf = (scheme: string, text: string, inside = false) => {
    const pre_tokenizer = { ...metaspace, prepend_scheme: scheme };
    const made = createTokenizer(read({ ...llama2, normalizer: null, pre_tokenizer }));
    return made.encode(text, { parseSpecial: true, inside }).map((id) => made.pieceOf(id));
  };
  // Other than the normalizer it puts no space before a space, and "first" none behind a special token.
  expect(namesOf("first", " he")).toEqual(["▁he"]);
  expect(namesOf("always", "he</s>he")).toEqual(["▁he", "</s>", "▁he"]);
  expect(namesOf("first", "he</s>he")).toEqual(["▁he", "</s>", "he"]);
  expect(namesOf("first", "he", true)).toEqual(["he"]);
  const bare = read({
    ...llama2,
    normalizer: null,
    pre_tokenizer: { ...metaspace, prepend_scheme: "never" },
  });
  expect(bare.addSpacePrefix).toBe(false);
});

test("recognises the rules that have a name, and keeps the patterns of others", () => {
  const rule = (pre_tokenizer: object) => {
    const { preTokenizer, patterns } = read({ ...llama3, pre_tokenizer });
    return [preTokenizer, ...patterns];
  };
  expect(rule({ type: "ByteLevel", add_prefix_space: false })).toEqual(["gpt-2"]);
  expect(rule(sequence({ type: "Digits", individual_digits: true }, { type: "ByteLevel" }))).toEqual([
    "smollm",
  ]);
  expect(rule(sequence(split(llama3Pattern.replace("{1,3}", "")), byteLevel))).toEqual(["qwen2"]);
  expect(rule(sequence(split("x+"), { type: "ByteLevel" }))).toEqual(["patterns", "x+", gpt2Pattern]);
  const literal = { type: "Split", pattern: { String: "a.b" }, behavior: "Isolated" };
  expect(rule(sequence(literal, byteLevel))).toEqual(["patterns", "a\\.b"]);
});

test("the configuration names special tokens and ends", () => {
  const config = {
    bos_token: { content: "<|eot_id|>" },
    eos_token: "<|begin_of_text|>",
    pad_token: "<tool>",
    add_bos_token: false,
    add_eos_token: true,
  };
  const vocabulary = read(llama3, config);
  expect(vocabulary.special).toMatchObject({ bos: 260, eos: 258, padding: 261 });
  expect([vocabulary.addBos, vocabulary.addEos]).toEqual([false, true]);
});

test("gaps between ids become unused pieces", () => {
  const vocabulary = read({ ...llama3, added_tokens: [added("<s>", 270)] });
  expect(vocabulary.pieces).toHaveLength(271);
  expect(createTokenizer(vocabulary).kindOf(265)).toBe("unused");
});

/** llama3 with one part of the model changed. */
const model = (changes: object) => ({ ...llama3, model: { ...llama3.model, ...changes } });
const steps = (...changed: object[]) => ({ ...llama3, pre_tokenizer: sequence(...changed) });

test.each<[string, string, object]>([
  ["bad-file", "no model", {}],
  ["bad-file", "no vocabulary", { ...llama3, model: { type: "BPE" } }],
  ["bad-file", "an empty vocabulary", { ...llama3, added_tokens: [], model: { vocab: {}, merges: [] } }],
  ["bad-file", "two pieces of one id", model({ vocab: { a: 0, b: 0 } })],
  ["bad-file", "an added token with the id of another piece", { ...llama3, added_tokens: [added("<s>", 3)] }],
  ["bad-file", "an added token with a second id", { ...llama3, added_tokens: [added("ab", 300)] }],
  ["bad-file", "an id that is no number", model({ vocab: { a: "0" } })],
  ["bad-file", "a negative id", model({ vocab: { a: -1 } })],
  ["bad-file", "an id far above the others", model({ vocab: { a: 4e9 } })],
  ["bad-file", "a merge of one", model({ merges: ["ab"] })],
  ["bad-file", "a merge of three", model({ merges: [["a", "b", "c"]] })],
  ["bad-file", "merges that are no list", model({ merges: { a: "b" } })],
  ["bad-file", "an added token without a name", { ...llama3, added_tokens: [{ id: 1 }] }],
  ["bad-file", "flags that are no flags", model({ ignore_merges: "yes" })],
  ["unsupported", "another algorithm", model({ type: "Unigram" })],
  ["unsupported", "prefixes inside words", model({ continuing_subword_prefix: "##" })],
  ["unsupported", "a normaliser", { ...llama3, normalizer: { type: "NFC" } }],
  ["unsupported", "an unknown step", steps({ type: "Whitespace" }, byteLevel)],
  ["unsupported", "a space before the text", steps({ ...byteLevel, add_prefix_space: true })],
  ["unsupported", "matches that are dropped", steps({ ...split("x"), behavior: "Removed" }, byteLevel)],
  ["unsupported", "neither bytes nor ▁", { ...llama2, normalizer: null }],
  [
    "unsupported",
    "another character for spaces",
    { ...llama2, pre_tokenizer: { type: "Metaspace", replacement: "_" } },
  ],
  ["unsupported", "a lower-casing normaliser", { ...llama2, normalizer: { type: "Lowercase" } }],
  [
    "unsupported",
    "words cut at spaces with pieces across them",
    {
      ...llama2,
      pre_tokenizer: { type: "Metaspace" },
      model: { ...llama2.model, vocab: { "<unk>": 0, "<s>": 1, "</s>": 2, "a▁b": 3 } },
    },
  ],
])("refuses with %s: %s", (code, _, file) => {
  expect(() => read(file)).toThrow(expect.objectContaining({ name: "CriaError", code }));
});

test("merges of unknown pieces are refused when the tokenizer is made", () => {
  for (const file of [
    model({ merges: ["a zz"] }),
    { ...llama2, model: { ...llama2.model, merges: ["h x"] } },
  ])
    expect(() => createTokenizer(read(file))).toThrow(expect.objectContaining({ code: "bad-file" }));
});

test("text that is no JSON, or another JSON, gives a CriaError", () => {
  for (const text of ["", "{", "[]", "null", "3", '"a"'])
    expect(() => vocabularyFromJson(text), text).toThrow(CriaError);
  expect(() => vocabularyFromJson(JSON.stringify(llama3), "nope")).toThrow(CriaError);
  const keys = ["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model"];
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
      try {
        createTokenizer(vocabularyFromJson(JSON.stringify({ ...llama3, [key]: value })));
      } catch (error) {
        expect(error).toBeInstanceOf(CriaError);
      }
    }),
    { numRuns: 300 },
  );
});

test("a vocabulary from a byte-level file survives GGUF", () => {
  const vocabulary = read(llama3);
  expect(throughGguf(vocabulary)).toEqual(vocabulary);
  expect(byteLevelVocabulary([]).pieces).toEqual([...byteCharacters]);
});
