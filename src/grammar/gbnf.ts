/**
 * Reads GBNF, llama.cpp's notation of grammars.
 *
 *   root  ::= "yes" | "no" ("," ws item){1,3}   # a comment
 *   item  ::= [a-z0-9]+ | "\"" [^"\n]* "\"" | .
 *
 * A rule ends at the end of its line, except inside parentheses and after ::= or |. The text is what `root` derives.
 *
 * Flow: text → gbnfGrammar → Grammar → automaton.ts.
 * Source: llama.cpp's grammars/README.md.
 */
import { CriaError } from "../shared/errors.ts";
import { anyCharacter, characterSet, charactersOf, complement, union } from "./character-set.ts";
import {
  characters,
  choice,
  countLimit,
  type Expression,
  type Grammar,
  literal,
  reference,
  repeat,
  sequence,
} from "./expression.ts";
import { leftRecursion } from "./left-recursion.ts";
import { nullableRules } from "./nullable.ts";

const nestingLimit = 200;
const lengthLimit = 100_000;
const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * @throws {CriaError} "bad-input" for a mistake, "unsupported" for left recursion; both with line and column from 1.
 */
export function gbnfGrammar(text: string): Grammar {
  if (text.length > lengthLimit)
    throw new CriaError("unsupported", `grammar: it has more than ${lengthLimit} characters`);
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  readonly #rules = new Map<string, Expression>();
  readonly #places = new Map<string, number>();
  readonly #uses: [string, number][] = [];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Grammar {
    for (this.#space(true); this.#at < this.#text.length; this.#space(true)) this.#rule();
    for (const [name, at] of this.#uses)
      if (!this.#rules.has(name)) throw this.#mistake(`there is no rule ${JSON.stringify(name)}`, at);
    if (!this.#rules.has("root")) throw this.#mistake('expected a rule "root", found none', 0);
    const circle = leftRecursion(this.#rules, nullableRules(this.#rules));
    if (circle)
      throw new CriaError(
        "unsupported",
        `grammar ${this.#where(this.#places.get(circle[0]) ?? 0)}: left recursion: the rule ${circle.join(" → ")} ` +
          "begins with itself; put something to read before it",
      );
    return { root: "root", rules: this.#rules };
  }

  #rule(): void {
    const at = this.#at;
    const name = this.#name();
    if (name === "") throw this.#mistake("expected the name of a rule (letters, digits, -)");
    if (this.#rules.has(name)) throw this.#mistake(`the rule ${JSON.stringify(name)} is defined twice`, at);
    this.#places.set(name, at);
    this.#space(false);
    if (!this.#text.startsWith("::=", this.#at)) throw this.#mistake("expected ::= after the rule's name");
    this.#at += 3;
    this.#space(true);
    const body = this.#choice(false);
    if (this.#at < this.#text.length && !this.#isLineEnd())
      throw this.#mistake("expected the end of the line, |, or a part of the rule");
    this.#rules.set(name, body);
  }

  #choice(nested: boolean): Expression {
    if (++this.#depth > nestingLimit)
      throw new CriaError(
        "unsupported",
        `grammar ${this.#where(this.#at)}: groups nested more than ${nestingLimit} deep`,
      );
    const options = [this.#sequence(nested)];
    while (this.#text[this.#at] === "|") {
      this.#at++;
      this.#space(true);
      options.push(this.#sequence(nested));
    }
    this.#depth--;
    return choice(...options);
  }

  #sequence(nested: boolean): Expression {
    const parts: Expression[] = [];
    for (let part = this.#item(); part; part = this.#item()) {
      this.#space(nested);
      for (let count = this.#quantifier(); count; count = this.#quantifier()) {
        part = repeat(part, ...count);
        this.#space(nested);
      }
      parts.push(part);
    }
    return sequence(...parts);
  }

  #item(): Expression | undefined {
    const next = this.#text[this.#at];
    if (next === '"') return this.#literal();
    if (next === "[") return this.#class();
    if (next === ".") {
      this.#at++;
      return characters(anyCharacter);
    }
    if (next === "(") {
      this.#at++;
      this.#space(true);
      const inner = this.#choice(true);
      if (this.#text[this.#at] !== ")") throw this.#mistake("expected ) to close a group");
      this.#at++;
      return inner;
    }
    const at = this.#at;
    const name = this.#name();
    if (name === "") return undefined;
    this.#uses.push([name, at]);
    return reference(name);
  }

  #quantifier(): [min: number, max: number] | undefined {
    const next = this.#text[this.#at];
    if (next !== "*" && next !== "+" && next !== "?" && next !== "{") return undefined;
    const at = this.#at++;
    if (next === "*") return [0, Number.POSITIVE_INFINITY];
    if (next === "+") return [1, Number.POSITIVE_INFINITY];
    if (next === "?") return [0, 1];
    const match = /^\s*(\d+)\s*(?:(,)\s*(\d+)?\s*)?\}/.exec(this.#text.slice(this.#at, this.#at + 64));
    if (!match) throw this.#mistake("expected {m}, {m,} or {m,n}", at);
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[3] !== undefined ? Number(match[3]) : match[2] ? Number.POSITIVE_INFINITY : min;
    if (max < min) throw this.#mistake(`a repetition of at least ${min} and at most ${max}`, at);
    if (min > countLimit || (max > countLimit && max !== Number.POSITIVE_INFINITY))
      throw this.#mistake(`counts up to ${countLimit} are supported`, at);
    return [min, max];
  }

  #literal(): Expression {
    const open = this.#at++;
    let text = "";
    while (this.#text[this.#at] !== '"') text += this.#character('"', open);
    this.#at++;
    return literal(text);
  }

  #class(): Expression {
    const open = this.#at++;
    const negated = this.#text[this.#at] === "^";
    if (negated) this.#at++;
    const sets = [];
    while (this.#text[this.#at] !== "]") {
      const at = this.#at;
      const low = this.#character("]", open);
      if (this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        const high = this.#character("]", open);
        if (high.codePointAt(0)! < low.codePointAt(0)!)
          throw this.#mistake("a range whose ends are in the wrong order", at);
        sets.push(characterSet(low.codePointAt(0)!, high.codePointAt(0)!));
      } else sets.push(charactersOf(low));
    }
    this.#at++;
    const set = union(...sets);
    return characters(negated ? complement(set) : set);
  }

  /** One character of a literal or class, with its escape read. */
  #character(closes: string, open: number): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined || code === 10) throw this.#mistake(`expected ${closes} to close this`, open);
    const character = String.fromCodePoint(code);
    const at = this.#at;
    this.#at += character.length;
    if (character !== "\\") return character;
    const next = this.#text[this.#at++] ?? "";
    if (Object.hasOwn(escapes, next)) return escapes[next];
    if ('\\"[]-^'.includes(next) && next !== "") return next;
    const length = next === "x" ? 2 : next === "u" ? 4 : next === "U" ? 8 : 0;
    if (length === 0) throw this.#mistake(`the escape \\${next} means nothing`, at);
    const hex = this.#text.slice(this.#at, this.#at + length);
    const number = Number.parseInt(hex, 16);
    const isCharacter = number <= 0x10ffff && (number < 0xd800 || number > 0xdfff);
    if (hex.length !== length || !/^[0-9A-Fa-f]+$/.test(hex) || !isCharacter)
      throw this.#mistake(`expected ${length} hexadecimal digits of a character`, at);
    this.#at += length;
    return String.fromCodePoint(number);
  }

  #name(): string {
    const name = /^[A-Za-z0-9_-]*/.exec(this.#text.slice(this.#at, this.#at + 256))?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  /** Skips blanks and comments, and ends of lines where they mean nothing. */
  #space(overLines: boolean): void {
    for (;;) {
      const next = this.#text[this.#at];
      if (next === "#") while (this.#at < this.#text.length && !this.#isLineEnd()) this.#at++;
      else if (next === " " || next === "\t" || (overLines && this.#isLineEnd())) this.#at++;
      else return;
    }
  }

  #isLineEnd(): boolean {
    const next = this.#text[this.#at];
    return next === "\n" || next === "\r";
  }

  #mistake(what: string, at: number = this.#at): CriaError {
    return new CriaError("bad-input", `grammar ${this.#where(at)}: ${what}`);
  }

  #where(at: number): string {
    const before = this.#text.slice(0, at);
    const column = at - before.lastIndexOf("\n");
    return `line ${before.split("\n").length}, column ${column}`;
  }
}
