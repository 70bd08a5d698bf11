/** The characters of a Unicode property, asked of the JavaScript engine, which has the tables. */
import { type CharacterSet, characterSet } from "../character-set.ts";

const known = new Map<string, CharacterSet>();

/** undefined for a name that is no property. Takes some tens of ms the first time. */
export function propertySet(name: string): CharacterSet | undefined {
  const found = known.get(name);
  if (found) return found;
  if (!/^[A-Za-z_]+(=[A-Za-z_]+)?$/.test(name)) return undefined;
  let matcher: RegExp;
  try {
    matcher = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    return undefined;
  }
  const ranges: number[] = [];
  let open = -1;
  for (let code = 0; code <= 0x110000; code++) {
    const isSurrogate = code >= 0xd800 && code <= 0xdfff;
    const member = code <= 0x10ffff && !isSurrogate && matcher.test(String.fromCodePoint(code));
    if (member && open < 0) open = code;
    else if (!member && open >= 0) {
      ranges.push(open, code - 1);
      open = -1;
    }
  }
  const set = characterSet(...ranges);
  known.set(name, set);
  return set;
}
