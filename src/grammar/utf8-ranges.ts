/**
 * Ranges of characters → sequences of byte ranges, whose product is exactly their UTF-8.
 *
 *   [U+0000, U+FFFF] → 00-7F | C2-DF 80-BF | E0 A0-BF 80-BF | E1-EC 80-BF 80-BF | ED 80-9F 80-BF | EE-EF 80-BF 80-BF
 *
 * Flow: automaton.ts (a character set) → utf8Sequences → byte edges.
 */
import type { CharacterSet } from "./character-set.ts";

/** [low, high] for each byte: 2, 4, 6 or 8 numbers. */
export type ByteSequence = readonly number[];

const lastOfLength = [0x7f, 0x7ff, 0xffff, 0x10ffff];

export function utf8Sequences(set: CharacterSet): ByteSequence[] {
  const sequences: ByteSequence[] = [];
  for (let i = 0; i < set.length; i += 2) split(set[i], set[i + 1], sequences);
  return sequences;
}

/** Cuts a range until its low and high ends differ from full ranges in one byte only. */
function split(low: number, high: number, into: ByteSequence[]): void {
  for (const last of lastOfLength)
    if (low <= last && high > last) {
      split(low, last, into);
      split(last + 1, high, into);
      return;
    }
  const length = lastOfLength.findIndex((last) => high <= last) + 1;
  for (let tail = 1; tail < length; tail++) {
    const mask = (1 << (6 * tail)) - 1;
    if (low >> (6 * tail) === high >> (6 * tail)) continue;
    if ((low & mask) !== 0) {
      split(low, low | mask, into);
      split((low | mask) + 1, high, into);
      return;
    }
    if ((high & mask) !== mask) {
      split(low, (high & ~mask) - 1, into);
      split(high & ~mask, high, into);
      return;
    }
  }
  const from = encode(low, length);
  const to = encode(high, length);
  into.push(from.flatMap((byte, i) => [byte, to[i]]));
}

function encode(code: number, length: number): number[] {
  if (length === 1) return [code];
  const bytes: number[] = [];
  for (let i = length - 1; i > 0; i--) bytes.push(0x80 | ((code >> (6 * i)) & 0x3f));
  bytes.push(0x80 | (code & 0x3f));
  bytes[0] = [0, 0, 0xc0, 0xe0, 0xf0][length] | (code >> (6 * (length - 1)));
  return bytes;
}
