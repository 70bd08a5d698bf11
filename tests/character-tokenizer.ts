/**
 * A tokenizer for tests of chat formats: every character is a token, and the given names are control tokens.
 *
 * Flow: tests (text) → characterTokenizer → ids that show where control tokens are.
 */
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";

/** Ids 0 … are the control tokens in the order given; the character with code c has the id controls.length + c. */
export function characterTokenizer(
  controls: readonly string[],
  names: {
    readonly bos?: string;
    readonly eos?: string;
    readonly addBos?: boolean;
    readonly kind?: Tokenizer["kind"];
  } = {},
): Tokenizer {
  const count = controls.length;
  const characters = (text: string) =>
    Array.from({ length: text.length }, (_, i) => count + text.charCodeAt(i));
  const pieceOf = (id: number) => (id < count ? controls[id] : String.fromCharCode(id - count));
  const tokenizer: Tokenizer = {
    kind: names.kind ?? "sentencepiece",
    vocabularySize: count + 65_536,
    special: {
      ...(names.bos === undefined ? {} : { bos: controls.indexOf(names.bos) }),
      ...(names.eos === undefined ? {} : { eos: controls.indexOf(names.eos) }),
    },
    addBos: names.addBos ?? false,
    addEos: false,
    endIds: new Set(names.eos === undefined ? [] : [controls.indexOf(names.eos)]),
    encode(text, options = {}) {
      if (!options.parseSpecial) return characters(text);
      throw new Error("chat formats place control tokens themselves");
    },
    decode: (ids, options = {}) =>
      Array.from(ids, (id) => (id < count && !options.showSpecial ? "" : pieceOf(id))).join(""),
    decoder: () => ({ push: pieceOf, flush: () => "" }),
    pieceOf,
    kindOf: (id) => (id < count ? "control" : "normal"),
    bytesOf: (id) => new TextEncoder().encode(pieceOf(id)),
    idOf: (piece) => (controls.includes(piece) ? controls.indexOf(piece) : undefined),
  };
  return tokenizer;
}
