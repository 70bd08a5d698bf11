/**
 * Letter, number, white space or other: what the rules that cut words ask of a character. A table answers, filled 256
 * code points at a time when one of them is first seen.
 */

export const otherClass = 0;
export const letterClass = 1;
export const numberClass = 2;
export const spaceClass = 3;

const pages: (Uint8Array | undefined)[] = new Array(0x1100).fill(undefined);

/** The class of a code point by Unicode's \p{L}, \p{N} and \p{White_Space}. */
function classOf(code: number): number {
  return (pages[code >> 8] ?? fillPage(code >> 8))[code & 0xff]!;
}

/** The class of the character at a position of a well-formed text. */
export function classAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  return classOf(unit >= 0xd800 && unit <= 0xdbff ? text.codePointAt(index)! : unit);
}

/** The end of the run of characters of one class that starts at `index`. */
export function classEnd(text: string, index: number, limit: number, wanted: number): number {
  let at = index;
  while (at < limit) {
    const unit = text.charCodeAt(at);
    const isPair = unit >= 0xd800 && unit <= 0xdbff;
    if (classOf(isPair ? text.codePointAt(at)! : unit) !== wanted) break;
    at += isPair ? 2 : 1;
  }
  return at;
}

function fillPage(page: number): Uint8Array {
  const classes = new Uint8Array(256);
  for (let i = 0; i < 256; i++) {
    const character = String.fromCodePoint(page * 256 + i);
    if (/\p{L}/u.test(character)) classes[i] = letterClass;
    else if (/\p{N}/u.test(character)) classes[i] = numberClass;
    else if (/\p{White_Space}/u.test(character)) classes[i] = spaceClass;
  }
  pages[page] = classes;
  return classes;
}
