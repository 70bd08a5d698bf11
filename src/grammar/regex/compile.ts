/**
 * A regular expression as an expression over characters.
 *
 *   whole    the text fits from end to end, whether ^ and $ are written or not (a constraint of its own)
 *   search   some part of the text fits, unless ^ and $ tie it to the ends (JSON schema's `pattern`)
 *
 * `spell` says how a character of the text is written: as itself, or in JSON's escapes.
 *
 * Flow: parse.ts → compileRegex → Expression → automaton.ts.
 */
import { CriaError } from "../../shared/errors.ts";
import { anyCharacter, type CharacterSet } from "../character-set.ts";
import {
  characters,
  choice,
  type Expression,
  empty,
  type GraphEdge,
  repeat,
  sequence,
} from "../expression.ts";
import type { Regex } from "./syntax.ts";

/** How one character of a set is written. */
export type Spelling = (set: CharacterSet) => Expression;

/** @throws {CriaError} "unsupported" for ^ or $ in the middle. */
export function compileRegex(
  regex: Regex,
  mode: "whole" | "search",
  spell: Spelling = characters,
): Expression {
  return toExpression(anchored(regex, mode), spell);
}

/** The same without edges: ^ and $ at the ends are taken in, and where they are missing a search gets "anything". */
export function anchored(regex: Regex, mode: "whole" | "search"): Regex {
  if (regex.kind === "choice")
    return { kind: "choice", options: regex.options.map((option) => anchored(option, mode)) };
  let parts = regex.kind === "sequence" ? [...regex.parts] : [regex];
  // (^a|b)c: the group at an end may hold the edge.
  const onlyPart = parts.length === 1 && parts[0].kind === "choice";
  if (onlyPart) return anchored(parts[0], mode);
  let start = false;
  let end = false;
  while (isEdge(parts[0], "start")) {
    start = true;
    parts = parts.slice(1);
  }
  while (isEdge(parts.at(-1), "end")) {
    end = true;
    parts = parts.slice(0, -1);
  }
  for (const part of parts) refuseEdges(part);
  if (mode === "search") {
    if (!start) parts.unshift(anything);
    if (!end) parts.push(anything);
  }
  return { kind: "sequence", parts };
}

const anything: Regex = {
  kind: "repeat",
  body: { kind: "set", set: anyCharacter },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};

function isEdge(regex: Regex | undefined, side: "start" | "end"): boolean {
  return regex?.kind === "edge" && regex.side === side;
}

function refuseEdges(regex: Regex): void {
  if (regex.kind === "edge")
    throw new CriaError(
      "unsupported",
      `regular expression, character ${regex.at}: ${regex.side === "start" ? "^" : "$"} is supported only at the ` +
        `${regex.side} of the pattern or of one of its alternatives`,
    );
  if (regex.kind === "repeat") refuseEdges(regex.body);
  if (regex.kind === "sequence") for (const part of regex.parts) refuseEdges(part);
  if (regex.kind === "choice") for (const option of regex.options) refuseEdges(option);
}

function toExpression(regex: Regex, spell: Spelling): Expression {
  switch (regex.kind) {
    case "set":
      return spell(regex.set);
    case "sequence":
      return sequence(...regex.parts.map((part) => toExpression(part, spell)));
    case "choice":
      return choice(...regex.options.map((option) => toExpression(option, spell)));
    case "repeat":
      return repeat(toExpression(regex.body, spell), regex.min, regex.max);
    case "edge":
      return empty;
  }
}

/** States of the pattern times lengths; beyond it a pattern with length limits is refused. */
const productLimit = 60_000;

/**
 * The texts that a pattern finds something in and that have between `min` and `max` characters: the product of the
 * pattern's automaton and a count.
 *
 * @throws {CriaError} "unsupported" when the product is too large.
 */
export function withLength(regex: Regex, min: number, max: number, spell: Spelling): Expression {
  const automaton = new CharacterAutomaton();
  const end = automaton.add(anchored(regex, "search"), automaton.state());
  const { edges, stateCount } = automaton;
  // Without a largest length, counting stops at the smallest.
  const last = max === Number.POSITIVE_INFINITY ? min : max;
  if (stateCount * (last + 1) > productLimit)
    throw new CriaError(
      "unsupported",
      `a pattern of ${stateCount} states with lengths up to ${last}: together they need more than ${productLimit} states`,
    );
  const product: GraphEdge[] = [];
  for (let length = 0; length <= last; length++)
    for (const { from, to, set } of edges) {
      const place = length * stateCount;
      if (!set) product.push({ from: place + from, to: place + to, label: empty });
      else if (length < last)
        product.push({ from: place + from, to: place + stateCount + to, label: spell(set) });
      else if (max === Number.POSITIVE_INFINITY)
        product.push({ from: place + from, to: place + to, label: spell(set) });
    }
  const goal = (last + 1) * stateCount;
  for (let length = min; length <= last; length++)
    product.push({ from: length * stateCount + end, to: goal, label: empty });
  return { kind: "graph", stateCount: goal + 1, end: goal, edges: product };
}

interface CharacterEdge {
  readonly from: number;
  readonly to: number;
  /** undefined: reads nothing. */
  readonly set?: CharacterSet;
}

/** A regular expression's automaton over whole characters. */
class CharacterAutomaton {
  readonly edges: CharacterEdge[] = [];
  stateCount = 0;

  state(): number {
    if (this.stateCount >= productLimit)
      throw new CriaError("unsupported", `a pattern with length limits of more than ${productLimit} states`);
    return this.stateCount++;
  }

  /** Adds the ways to read the expression from a state; returns the state after it. */
  add(regex: Regex, from: number): number {
    switch (regex.kind) {
      case "set":
      case "edge": {
        const to = this.state();
        this.edges.push(regex.kind === "set" ? { from, to, set: regex.set } : { from, to });
        return to;
      }
      case "sequence": {
        let at = from;
        for (const part of regex.parts) at = this.add(part, at);
        return at;
      }
      case "choice": {
        const to = this.state();
        for (const option of regex.options) this.edges.push({ from: this.add(option, from), to });
        return to;
      }
      case "repeat":
        return this.#addRepeat(regex.body, regex.min, regex.max, from);
    }
  }

  #addRepeat(body: Regex, min: number, max: number, from: number): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.add(body, at);
    const to = this.state();
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.state();
      this.edges.push({ from: at, to: loop }, { from: this.add(body, loop), to: loop }, { from: loop, to });
      return to;
    }
    for (let i = min; i < max; i++) {
      this.edges.push({ from: at, to });
      at = this.add(body, at);
    }
    this.edges.push({ from: at, to });
    return to;
  }
}
