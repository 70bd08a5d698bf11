/**
 * Reads JSON whose objects must be kept as they are: keys in the file's order, none twice, nesting within a bound.
 *
 * The engine's own JSON.parse keeps the last of two equal keys and moves keys that look like integers to the front, so
 * a header read by it cannot be checked, nor written again byte for byte.
 *
 * Flow: header.ts and read.ts (text) → parseOrderedJson → maps and lists.
 * Source: RFC 8259.
 */

export type OrderedJson = string | number | boolean | null | OrderedJson[] | Map<string, OrderedJson>;

/** @throws {SyntaxError} that names the character, also for a key given twice and for nesting beyond `deepest`. */
export function parseOrderedJson(text: string, deepest: number): OrderedJson {
  const reader = new Reader(text, deepest);
  const value = reader.value(0);
  reader.end();
  return value;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERALS: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

const [QUOTE, BACKSLASH] = [0x22, 0x5c];

class Reader {
  readonly #text: string;
  readonly #deepest: number;
  #at = 0;

  constructor(text: string, deepest: number) {
    this.#text = text;
    this.#deepest = deepest;
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#bad("expected the end");
  }

  value(depth: number): OrderedJson {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '"') return this.#string();
    if ((first === "{" || first === "[") && depth === this.#deepest)
      throw this.#bad(`nested deeper than ${this.#deepest}`);
    if (first === "{") return this.#object(depth);
    if (first === "[") return this.#list(depth);
    return this.#plain();
  }

  #bad(message: string): SyntaxError {
    return new SyntaxError(`${message} at character ${this.#at}`);
  }

  #skipSpace(): void {
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  /** Whether the next character is this one; then it is passed. */
  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #object(depth: number): Map<string, OrderedJson> {
    const entries = new Map<string, OrderedJson>();
    this.#at++;
    if (this.#take("}")) return entries;
    do {
      this.#skipSpace();
      const key = this.#string();
      if (entries.has(key))
        throw this.#bad(`the key ${JSON.stringify(key.slice(0, 100))} is given twice, the second time`);
      if (!this.#take(":")) throw this.#bad('expected ":"');
      entries.set(key, this.value(depth + 1));
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#bad('expected "," or "}"');
    return entries;
  }

  #list(depth: number): OrderedJson[] {
    const items: OrderedJson[] = [];
    this.#at++;
    if (this.#take("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.#take(","));
    if (!this.#take("]")) throw this.#bad('expected "," or "]"');
    return items;
  }

  #string(): string {
    const text = this.#text;
    const from = this.#at;
    if (text.charCodeAt(from) !== QUOTE) throw this.#bad("expected a string");
    let escaped = false;
    let end = from + 1;
    for (let code = text.charCodeAt(end); code !== QUOTE; code = text.charCodeAt(++end)) {
      // Beyond the end the code is NaN, which fails this too.
      if (!(code >= 0x20)) throw this.#bad("a string without end, or with a control character,");
      if (code === BACKSLASH) {
        escaped = true;
        end++;
      }
    }
    this.#at = end + 1;
    // The engine knows the escapes.
    return escaped ? (JSON.parse(text.slice(from, end + 1)) as string) : text.slice(from + 1, end);
  }

  #plain(): number | boolean | null {
    for (const [word, value] of LITERALS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    NUMBER.lastIndex = this.#at;
    const digits = NUMBER.exec(this.#text)?.[0];
    if (digits === undefined) throw this.#bad("expected a value");
    this.#at += digits.length;
    return Number(digits);
  }
}
