/**
 * Reads JavaScript's regular expressions in Unicode mode (as with the flag `u`), without what no automaton can do.
 *
 *   read      literals, . [a-z] [^…] \d \w \s \D \W \S \p{…} \P{…}, escapes, (…) (?:…) (?<name>…), |, * + ? {m,n}, ^ $
 *   refused   look-around, back-references, \b \B, flags inside the pattern
 *   lazy quantifiers mean the same here: which texts fit does not depend on them.
 *
 * Flow: a pattern → parseRegex → Regex → compile.ts.
 * Source: ECMA-262, 22.2.1.
 */
import { CriaError } from "../../shared/errors.ts";
import {
  anyCharacter,
  type CharacterSet,
  characterSet,
  charactersOf,
  complement,
  difference,
  union,
} from "../character-set.ts";
import { countLimit } from "../expression.ts";
import { propertySet } from "./property.ts";
import type { Regex } from "./syntax.ts";

const digits = characterSet(0x30, 0x39);
const wordCharacters = characterSet(0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a);
const spaces = union(
  charactersOf("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"),
  characterSet(0x2000, 0x200a),
);
const lineEnds = charactersOf("\n\r\u2028\u2029");
const classEscapes: Readonly<Record<string, CharacterSet>> = {
  d: digits,
  D: complement(digits),
  w: wordCharacters,
  W: complement(wordCharacters),
  s: spaces,
  S: complement(spaces),
};
const controlEscapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, v: 11, f: 12, "0": 0 };
const syntaxCharacters = "^$\\.*+?()[]{}|/-";
const nestingLimit = 200;
const lengthLimit = 10_000;

/**
 * @throws {CriaError} "bad-input" for a mistake and "unsupported" for what is refused; both name the place, counted in
 * characters from 1.
 */
export function parseRegex(pattern: string, flags = ""): Regex {
  if (pattern.length > lengthLimit)
    throw new CriaError("unsupported", `regular expression: it has more than ${lengthLimit} characters`);
  for (const flag of flags)
    if (!"usgyd".includes(flag))
      throw new CriaError(
        "unsupported",
        `regular expression: the flag ${flag} is not supported; u and s are`,
      );
  return new Parser(pattern, flags.includes("s")).parse();
}

class Parser {
  readonly #characters: readonly string[];
  readonly #dotAll: boolean;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, dotAll: boolean) {
    this.#characters = Array.from(pattern);
    this.#dotAll = dotAll;
  }

  parse(): Regex {
    const regex = this.#choice();
    if (this.#at < this.#characters.length) throw this.#mistake("a ) that closes nothing");
    return regex;
  }

  #choice(): Regex {
    if (++this.#depth > nestingLimit) throw this.#refused(`groups nested more than ${nestingLimit} deep`);
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0] : { kind: "choice", options };
  }

  #sequence(): Regex {
    const parts: Regex[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek())
      parts.push(this.#term());
    return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
  }

  #term(): Regex {
    const at = this.#at + 1;
    if (this.#take("^")) return { kind: "edge", side: "start", at };
    if (this.#take("$")) return { kind: "edge", side: "end", at };
    const body = this.#atom();
    const count = this.#quantifier();
    if (!count) return body;
    this.#take("?");
    if ("*+?".includes(this.#peek() ?? "|")) throw this.#mistake("a quantifier after a quantifier");
    return { kind: "repeat", body, ...count };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (!this.#take("{")) return undefined;
    const min = this.#number();
    let max = min;
    if (this.#take(",")) max = this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#number();
    if (!this.#take("}")) throw this.#mistake("expected } after a count");
    if (max < min) throw this.#mistake(`a repetition of at least ${min} and at most ${max}`);
    if (min > countLimit || (max > countLimit && max !== Number.POSITIVE_INFINITY))
      throw this.#refused(`counts above ${countLimit}`);
    return { min, max };
  }

  #number(): number {
    let text = "";
    for (let next = this.#peek(); next !== undefined && /^[0-9]$/.test(next); next = this.#peek()) {
      text += next;
      this.#at++;
    }
    if (text === "") throw this.#mistake("expected a count");
    return Number(text);
  }

  #atom(): Regex {
    const next = this.#characters[this.#at++];
    if (next === "(") return this.#group();
    if (next === "[") return { kind: "set", set: this.#class() };
    if (next === ".") return { kind: "set", set: this.#dotAll ? anyCharacter : complement(lineEnds) };
    if (next === "\\") return { kind: "set", set: this.#escape(false) };
    if ("*+?{".includes(next)) throw this.#mistake(`a ${next} with nothing before it to repeat`);
    if ("]}".includes(next)) throw this.#mistake(`a ${next} that closes nothing; write \\${next}`);
    return { kind: "set", set: charactersOf(next) };
  }

  #group(): Regex {
    if (this.#take("?")) {
      if (this.#take("<")) {
        if ("=!".includes(this.#peek() ?? "=")) throw this.#refused("look-behind (?<=…) (?<!…)");
        while (this.#peek() !== undefined && this.#peek() !== ">") this.#at++;
        if (!this.#take(">")) throw this.#mistake("expected > after a group's name");
      } else if (!this.#take(":")) {
        if ("=!".includes(this.#peek() ?? "=")) throw this.#refused("look-ahead (?=…) (?!…)");
        throw this.#refused(`the group (?${this.#peek()}…)`);
      }
    }
    const inner = this.#choice();
    if (!this.#take(")")) throw this.#mistake("expected ) to close a group");
    return inner;
  }

  #class(): CharacterSet {
    const negated = this.#take("^");
    const sets: CharacterSet[] = [];
    while (!this.#take("]")) {
      const low = this.#classMember();
      if (this.#peek() === "-" && this.#characters[this.#at + 1] !== "]") {
        this.#at++;
        const high = this.#classMember();
        if (low.length !== 2 || high.length !== 2 || low[0] !== low[1] || high[0] !== high[1])
          throw this.#mistake("a range between what is no single character");
        if (low[0] > high[0]) throw this.#mistake("a range whose ends are in the wrong order");
        sets.push(characterSet(low[0], high[0]));
      } else sets.push(low);
    }
    const set = union(...sets);
    return negated ? difference(anyCharacter, set) : set;
  }

  #classMember(): CharacterSet {
    const next = this.#characters[this.#at++];
    if (next === undefined) throw this.#mistake("expected ] to close a character class");
    return next === "\\" ? this.#escape(true) : charactersOf(next);
  }

  #escape(inClass: boolean): CharacterSet {
    const next = this.#characters[this.#at++];
    if (next === undefined) throw this.#mistake("a \\ at the end");
    if (Object.hasOwn(classEscapes, next)) return classEscapes[next];
    if (next === "p" || next === "P") return this.#property(next === "P");
    if (inClass && next === "b") return characterSet(8, 8);
    if (next === "b" || next === "B") throw this.#refused(`the word boundary \\${next}`);
    if (next === "k" || /^[1-9]$/.test(next)) throw this.#refused(`the back-reference \\${next}`);
    // Octal without the flag u, and a mistake with it.
    if (next === "0" && /^[0-9]$/.test(this.#peek() ?? "")) throw this.#mistake("a digit after \\0");
    if (Object.hasOwn(controlEscapes, next)) return single(controlEscapes[next]);
    if (next === "c") {
      const letter = this.#characters[this.#at++] ?? "";
      if (!/^[A-Za-z]$/.test(letter)) throw this.#mistake("expected a letter after \\c");
      return single(letter.charCodeAt(0) % 32);
    }
    if (next === "x") return single(this.#hex(2));
    if (next === "u") return single(this.#unicode());
    if (syntaxCharacters.includes(next)) return charactersOf(next);
    throw this.#mistake(`the escape \\${next} means nothing`);
  }

  #unicode(): number {
    if (this.#take("{")) {
      let text = "";
      while (this.#peek() !== undefined && this.#peek() !== "}") text += this.#characters[this.#at++];
      if (!this.#take("}") || !/^[0-9A-Fa-f]{1,6}$/.test(text) || Number.parseInt(text, 16) > 0x10ffff)
        throw this.#mistake("expected \\u{…} with the number of a character");
      return Number.parseInt(text, 16);
    }
    const high = this.#hex(4);
    if (high < 0xd800 || high > 0xdbff || this.#peek() !== "\\" || this.#characters[this.#at + 1] !== "u")
      return high;
    const before = this.#at;
    this.#at += 2;
    const low = this.#hex(4);
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    this.#at = before;
    return high;
  }

  #hex(length: number): number {
    const text = this.#characters.slice(this.#at, this.#at + length).join("");
    if (text.length !== length || !/^[0-9A-Fa-f]+$/.test(text))
      throw this.#mistake(`expected ${length} hexadecimal digits`);
    this.#at += length;
    return Number.parseInt(text, 16);
  }

  #property(negated: boolean): CharacterSet {
    const close = this.#characters.indexOf("}", this.#at);
    if (!this.#take("{") || close < 0) throw this.#mistake("expected {…} after \\p");
    const name = this.#characters.slice(this.#at, close).join("");
    const set = propertySet(name);
    if (!set) throw this.#mistake(`there is no Unicode property ${name}`);
    this.#at = close + 1;
    return negated ? complement(set) : set;
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#characters[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #mistake(what: string): CriaError {
    return new CriaError("bad-input", `regular expression, character ${this.#at + 1}: ${what}`);
  }

  #refused(what: string): CriaError {
    return new CriaError(
      "unsupported",
      `regular expression, character ${this.#at + 1}: ${what} not supported`,
    );
  }
}

/** A lone surrogate is no character, so its set is empty. */
function single(code: number): CharacterSet {
  return characterSet(code, code);
}
