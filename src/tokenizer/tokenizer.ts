/**
 * What every tokenizer offers: text → ids → text.
 *
 * Flow: generate/ and cli/ (text) → Tokenizer → model (ids) → StreamDecoder → generate/ (text).
 */

/** How `encode` treats the ends of a text and the special tokens written in it. */
export interface EncodeOptions {
  /** Add the beginning- and end-of-text ids that the model was trained with. Default false. */
  readonly addSpecial?: boolean;
  /** Read `<s>`, `<|im_start|>` … in the text as control tokens. Default false: they are ordinary text. */
  readonly parseSpecial?: boolean;
  /** The text follows a special token: what only the start of a text is given is left out. Default false. */
  readonly inside?: boolean;
}

export interface DecodeOptions {
  /** Show control tokens as their names. Default false: they decode to nothing. */
  readonly showSpecial?: boolean;
  /** The ids continue an earlier text, so a leading space is kept. Default false. */
  readonly continues?: boolean;
}

export type TokenKind = "normal" | "unknown" | "control" | "user" | "unused" | "byte";

/** Ids with a meaning of their own; absent when the vocabulary has none. */
export interface SpecialIds {
  readonly bos?: number;
  readonly eos?: number;
  /** End of a chat turn, where it is not `eos`. */
  readonly eot?: number;
  readonly unknown?: number;
  readonly padding?: number;
}

/** Turns ids into text piece by piece; never returns part of a character. */
export interface StreamDecoder {
  /** Text that is certain after this id; may be empty. */
  push(id: number): string;
  /** What is left at the end; incomplete bytes become U+FFFD, one each. */
  flush(): string;
}

export interface Tokenizer {
  readonly kind: "sentencepiece" | "byte-level";
  readonly vocabularySize: number;
  readonly special: SpecialIds;
  /** Whether `addSpecial` puts `special.bos` first, or `special.eos` last. */
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** Ids that end an answer: eos, eot and their like. */
  readonly endIds: ReadonlySet<number>;
  encode(text: string, options?: EncodeOptions): number[];
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  decoder(options?: DecodeOptions): StreamDecoder;
  /** The name of a token as stored: `▁the`, `<0x0A>`, `Ġthe`, `<s>`. */
  pieceOf(id: number): string;
  kindOf(id: number): TokenKind;
  /** The bytes that the token adds to a text (a leading ▁ as a space); empty for control tokens. */
  bytesOf(id: number): Uint8Array;
  /** The id of a token by its stored name. */
  idOf(piece: string): number | undefined;
}
