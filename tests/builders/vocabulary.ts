/** Small vocabularies for tests of tokenizers, made from a list of words. */
import { kindCodes, type Vocabulary } from "../../src/tokenizer/vocabulary.ts";

const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, "0");

/** `<unk>`, `<s>`, `</s>`, the 256 byte pieces, then `words`: the earlier, the higher the score. */
export function sentencePieceVocabulary(
  words: readonly string[],
  changes: Partial<Vocabulary> = {},
): Vocabulary {
  const bytePieces = Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`);
  const pieces = ["<unk>", "<s>", "</s>", ...bytePieces, ...words];
  const { unknown, control, byte, normal } = kindCodes;
  return {
    model: "llama",
    pieces,
    scores: Float32Array.from(pieces, (_, id) => Math.min(0, 259 - id)),
    kinds: Uint8Array.from(pieces, (_, id) =>
      id === 0 ? unknown : id < 3 ? control : id < 259 ? byte : normal,
    ),
    merges: [],
    special: { unknown: 0, bos: 1, eos: 2 },
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
    ...changes,
  };
}

/** The character that byte-level BPE writes for each byte. */
export const byteCharacters: readonly string[] = (() => {
  const visible = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const hidden = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !visible(byte));
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(visible(byte) ? byte : 256 + hidden.indexOf(byte)),
  );
})();

/** The 256 bytes (id = byte), what `merges` make, then `controls`. */
export function byteLevelVocabulary(
  merges: readonly string[],
  controls: readonly string[] = [],
  changes: Partial<Vocabulary> = {},
): Vocabulary {
  const merged = [...new Set(merges.map((merge) => merge.replace(" ", "")))];
  const pieces = [...byteCharacters, ...merged, ...controls];
  const firstControl = pieces.length - controls.length;
  return {
    model: "gpt2",
    pieces,
    scores: new Float32Array(pieces.length),
    kinds: Uint8Array.from(pieces, (_, id) => (id < firstControl ? kindCodes.normal : kindCodes.control)),
    merges,
    special: {},
    addBos: false,
    addEos: false,
    addSpacePrefix: false,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "gpt-2",
    patterns: [],
    ...changes,
  };
}
