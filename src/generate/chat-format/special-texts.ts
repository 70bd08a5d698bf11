/**
 * Tells the control tokens that a template writes from texts that only look like them.
 *
 * A template makes one text of its own marks and of what users wrote; in that text nobody could tell them apart. So
 * before rendering, the first character of every mark in a user's text is replaced by a private one that occurs nowhere
 * else ("hidden"); after rendering, what is still a control token was written by the template, and the private
 * characters turn back into what they stand for. The length stays, and so does all else that templates look at: trimming,
 * splitting and comparing work as before.
 *
 * Flow: messages → Disguise.hide → template → SpecialTexts.split → Disguise.reveal → tokenizer.
 */
import { CriaError } from "../../shared/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A control token, or text between control tokens. */
export type PromptPart = { readonly id: number } | { readonly text: string };

/** Letters and digits start words too: hiding all of them would change what a template sees. */
const WORD = /[\p{L}\p{N}\s]/u;

/** The control tokens of a vocabulary, by name. */
export class SpecialTexts {
  readonly #ids = new Map<string, number>();
  /** Any of the names, the longest first. */
  readonly #names: RegExp | undefined;
  /** The first character of any of the names, where one begins. */
  readonly starts: RegExp | undefined;
  /** All first characters. */
  readonly firstCharacters: ReadonlySet<string>;
  readonly #tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    for (let id = 0; id < tokenizer.vocabularySize; id++) {
      const piece = isSpecial(tokenizer, id) ? tokenizer.pieceOf(id) : "";
      if (piece !== "" && !this.#ids.has(piece)) this.#ids.set(piece, id);
    }
    const names = [...this.#ids.keys()].sort((a, b) => b.length - a.length);
    this.firstCharacters = new Set(names.map((name) => String.fromCodePoint(name.codePointAt(0) ?? 0)));
    if (names.length === 0) return;
    const any = names.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
    this.#names = new RegExp(any, "gu");
    // A look-ahead, because the names may overlap: "<<s>" hides both of its signs if "<<" is a name as well.
    this.starts = new RegExp(`(?=${any})[^]`, "gu");
  }

  /** Cuts a rendered text at its control tokens. */
  split(text: string): PromptPart[] {
    const parts: PromptPart[] = [];
    let start = 0;
    for (const match of this.#names ? text.matchAll(this.#names) : []) {
      if (match.index > start) parts.push({ text: text.slice(start, match.index) });
      parts.push({ id: this.#ids.get(match[0]) ?? 0 });
      start = match.index + match[0].length;
    }
    if (start < text.length) parts.push({ text: text.slice(start) });
    return parts;
  }

  /**
   * The ids of a text in which `breaks` are the places of hidden characters. A token of kind "user" is matched in any
   * text; where a user wrote the name of one that is special here, the text is cut behind its first character.
   */
  encodeText(text: string, breaks: readonly number[], inside: boolean): number[] {
    const ids = this.#tokenizer.encode(text, { inside });
    if (breaks.length === 0 || !ids.some((id) => isSpecial(this.#tokenizer, id))) return ids;
    const cuts = [0, ...breaks.map((place) => place + 1), text.length];
    return cuts
      .slice(1)
      .flatMap((end, index) =>
        this.#tokenizer.encode(text.slice(cuts[index], end), { inside: inside || index > 0 }),
      );
  }
}

/** Control tokens, and tokens that some files mark as a user's own although they are written <|like this|>. */
function isSpecial(tokenizer: Tokenizer, id: number): boolean {
  const kind = tokenizer.kindOf(id);
  return kind === "control" || (kind === "user" && /^<\|.+\|>$/s.test(tokenizer.pieceOf(id)));
}

/** How much of a user's text to hide: whole names only, or every character that could begin one. */
export type HidingLevel = "names" | "characters";

/** The private characters of one prompt. */
export class Disguise {
  readonly #specials: SpecialTexts;
  readonly #privateOf = new Map<string, string>();
  readonly #publicOf = new Map<string, string>();
  readonly #hidden: RegExp | undefined;
  readonly #characters: RegExp | undefined;
  /** Whether the two levels differ for these texts. */
  readonly isNeeded: boolean;

  /**
   * @param texts all texts that go into the prompt; a private character occurs in none of them.
   * @throws {CriaError} "bad-input" when the texts use all of some 6,000 private characters.
   */
  constructor(specials: SpecialTexts, texts: readonly string[]) {
    this.#specials = specials;
    const used = new Set<number>();
    // An escape counts as well: `tojson` may write a private character as one.
    for (const text of texts)
      for (const [match] of text.matchAll(/[\ue000-\uf8ff]|\\u[0-9a-f]{4}/gi))
        used.add(match.length === 1 ? match.charCodeAt(0) : Number.parseInt(match.slice(2), 16));
    let code = 0xe000;
    for (const character of specials.firstCharacters) {
      while (used.has(code)) code++;
      if (code > 0xf8ff)
        throw new CriaError("bad-input", "messages: they use all private characters of Unicode");
      const hidden = String.fromCharCode(code++);
      this.#privateOf.set(character, hidden);
      this.#publicOf.set(hidden, character);
    }
    const first = [...specials.firstCharacters].filter((character) => !WORD.test(character));
    this.#characters =
      first.length > 0 ? new RegExp(`[${first.map(escapeInClass).join("")}]`, "gu") : undefined;
    const hidden = [...this.#publicOf.keys()];
    this.#hidden =
      hidden.length > 0
        ? new RegExp(hidden.flatMap((character) => [character, escapeOf(character)]).join("|"), "gi")
        : undefined;
    const { starts } = specials;
    this.isNeeded = texts.some(
      (text) =>
        (this.#characters !== undefined && text.search(this.#characters) >= 0) ||
        (starts !== undefined && text.search(starts) >= 0),
    );
  }

  hide(text: string, level: HidingLevel): string {
    const replace = (character: string) => this.#privateOf.get(character) ?? character;
    const { starts } = this.#specials;
    const named = starts ? text.replace(starts, replace) : text;
    return level === "characters" && this.#characters ? named.replace(this.#characters, replace) : named;
  }

  /** The text as it was, and the places in it that were hidden. */
  reveal(text: string): { text: string; breaks: number[] } {
    const breaks: number[] = [];
    if (!this.#hidden) return { text, breaks };
    let shortened = 0;
    const revealed = text.replace(this.#hidden, (hidden, place: number) => {
      const character =
        this.#publicOf.get(hidden) ??
        this.#publicOf.get(String.fromCharCode(Number.parseInt(hidden.slice(2), 16))) ??
        hidden;
      breaks.push(place - shortened + character.length - 1);
      shortened += hidden.length - character.length;
      return character;
    });
    return { text: revealed, breaks };
  }
}

function escapeOf(character: string): string {
  return `\\\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function escapeInClass(character: string): string {
  return /[\\\]^-]/.test(character) ? `\\${character}` : character;
}
