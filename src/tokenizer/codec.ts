/**
 * What the two tokenizer families do differently; create-tokenizer.ts adds what they share (special tokens, ends,
 * names and checks).
 */
import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";

export interface Codec {
  /** Appends the ids of well-formed plain text. `first`: nothing or a special token is before it. */
  encodeInto(ids: number[], text: string, first: boolean): void;
  /** A decoder that trusts its ids to be in range. */
  decoder(options: DecodeOptions): StreamDecoder;
  bytesOf(id: number): Uint8Array;
}
