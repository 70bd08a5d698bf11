/**
 * Sets of Unicode characters as sorted ranges of code points: [low, high, low, high, …], both ends in the set.
 * Surrogates are no characters and never members.
 */

/** Sorted, without overlap or touching ranges. */
export type CharacterSet = readonly number[];

const lastCharacter = 0x10ffff;

/** Every character. */
export const anyCharacter: CharacterSet = [0, 0xd7ff, 0xe000, lastCharacter];

/** The set of ranges in any order; [low, high] pairs in one flat list. */
export function characterSet(...ranges: number[]): CharacterSet {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const low = ranges[i];
    const high = ranges[i + 1];
    if (low < 0xd800) pairs.push([low, Math.min(high, 0xd7ff)]);
    if (high > 0xdfff) pairs.push([Math.max(low, 0xe000), high]);
  }
  pairs.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [low, high] of pairs) {
    if (low > high) continue;
    const last = merged.length - 1;
    if (last > 0 && low <= merged[last] + 1) merged[last] = Math.max(merged[last], high);
    else merged.push(low, high);
  }
  return merged;
}

/** The characters of a text. */
export function charactersOf(text: string): CharacterSet {
  return characterSet(...Array.from(text, (character) => character.codePointAt(0)!).flatMap((c) => [c, c]));
}

export function union(...sets: readonly CharacterSet[]): CharacterSet {
  return characterSet(...sets.flat());
}

export function complement(set: CharacterSet): CharacterSet {
  const ranges: number[] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i] > from) ranges.push(from, set[i] - 1);
    from = set[i + 1] + 1;
  }
  if (from <= lastCharacter) ranges.push(from, lastCharacter);
  return characterSet(...ranges);
}

export function intersection(a: CharacterSet, b: CharacterSet): CharacterSet {
  const ranges: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const low = Math.max(a[i], b[j]);
    const high = Math.min(a[i + 1], b[j + 1]);
    if (low <= high) ranges.push(low, high);
    if (a[i + 1] < b[j + 1]) i += 2;
    else j += 2;
  }
  return characterSet(...ranges);
}

export function difference(a: CharacterSet, b: CharacterSet): CharacterSet {
  return intersection(a, complement(b));
}

export function contains(set: CharacterSet, code: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (code >= set[i] && code <= set[i + 1]) return true;
  return false;
}
