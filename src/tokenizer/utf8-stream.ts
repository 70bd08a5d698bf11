/**
 * UTF-8 bytes, one at a time → text, never showing part of a character.
 *
 * A byte that does not start a valid sequence gives one U+FFFD of its own, as SentencePiece does. (TextDecoder gives
 * one per broken sequence, so F0 9F 98 would become one instead of three.) Overlong forms and encoded surrogates are
 * broken sequences.
 *
 * Flow: sentence-piece.ts, byte-level.ts (bytes of tokens) → Utf8Stream → text.
 */

const replacement = "\uFFFD";

export class Utf8Stream {
  readonly #pending = new Uint8Array(4);
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Takes a byte and returns the text that is now certain. */
  push(byte: number): string {
    if (this.#count === 0 && byte < 0x80) return String.fromCharCode(byte);
    this.#pending[this.#count++] = byte;
    let text = "";
    while (this.#count > 0) {
      const length = sequenceLength(this.#pending, this.#count);
      if (length > this.#count) break;
      if (length === 0) {
        text += replacement;
        this.#drop(1);
      } else {
        text += String.fromCodePoint(codePoint(this.#pending, length));
        this.#drop(length);
      }
    }
    return text;
  }

  pushAll(bytes: Uint8Array): string {
    let text = "";
    for (const byte of bytes) text += this.push(byte);
    return text;
  }

  /** Gives up on what is pending: one U+FFFD for each byte. */
  flush(): string {
    const text = replacement.repeat(this.#count);
    this.#count = 0;
    return text;
  }

  #drop(length: number): void {
    this.#pending.copyWithin(0, length, this.#count);
    this.#count -= length;
  }
}

/** Bytes of the sequence that the first byte announces, as far as the others agree; 0 when it is broken. */
function sequenceLength(bytes: Uint8Array, count: number): number {
  const first = bytes[0]!;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf
      ? 2
      : first >= 0xe0 && first <= 0xef
        ? 3
        : first >= 0xf0 && first <= 0xf4
          ? 4
          : 0;
  for (let i = 1; i < Math.min(length, count); i++) {
    const low = i === 1 && first === 0xe0 ? 0xa0 : i === 1 && first === 0xf0 ? 0x90 : 0x80;
    const high = i === 1 && first === 0xed ? 0x9f : i === 1 && first === 0xf4 ? 0x8f : 0xbf;
    if (bytes[i]! < low || bytes[i]! > high) return 0;
  }
  return length;
}

function codePoint(bytes: Uint8Array, length: number): number {
  let code = length === 1 ? bytes[0]! : bytes[0]! & (0x7f >> length);
  for (let i = 1; i < length; i++) code = (code << 6) | (bytes[i]! & 0x3f);
  return code;
}
