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
import { anyCharacter, type CharacterSet, intersection } from "../character-set.ts";
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
function anchored(regex: Regex, mode: "whole" | "search"): Regex {
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

/** States of the product; beyond it the combination is refused. */
const productLimit = 60_000;

/**
 * The texts that every one of the patterns finds something in and that have between `min` and `max` characters: the
 * product of the patterns' automata and a count.
 *
 * @throws {CriaError} "unsupported" when the product is too large.
 */
export function textsOfAll(regexes: readonly Regex[], min: number, max: number, spell: Spelling): Expression {
  const automata = regexes.map((regex) => new CharacterAutomaton(anchored(regex, "search")));
  // Without a largest length, counting stops at the smallest.
  const unlimited = max === Number.POSITIVE_INFINITY;
  const last = unlimited ? min : max;
  const edges: GraphEdge[] = [];
  const states = new Map<string, number>();
  const work: (readonly number[])[] = [];
  // State 0 is the first place, state 1 the end.
  let stateCount = 2;
  // A place is a state of each automaton, then the length so far.
  const stateOf = (place: readonly number[]): number => {
    const key = place.join();
    let state = states.get(key);
    if (state === undefined) {
      state = states.size === 0 ? 0 : stateCount++;
      if (stateCount > productLimit)
        throw new CriaError(
          "unsupported",
          `a pattern together with a format or with lengths up to ${last} needs more than ${productLimit} states`,
        );
      states.set(key, state);
      work.push(place);
    }
    return state;
  };
  stateOf([...automata.map(({ start }) => start), 0]);
  for (let place = work.pop(); place; place = work.pop()) {
    const from = stateOf(place);
    const length = place[automata.length];
    const at = place;
    if (length >= min && automata.every(({ end }, i) => at[i] === end))
      edges.push({ from, to: 1, label: empty });
    for (const [i, automaton] of automata.entries())
      for (const { to, set } of automaton.edgesOf(at[i]))
        if (!set) edges.push({ from, to: stateOf(at.with(i, to)), label: empty });
    if (length === last && !unlimited) continue;
    for (const [targets, set] of jointSteps(automata, at))
      edges.push({ from, to: stateOf([...targets, Math.min(length + 1, last)]), label: spell(set) });
  }
  return { kind: "graph", stateCount, end: 1, edges };
}

/** Every choice of one reading edge of each automaton that share a character. */
function jointSteps(
  automata: readonly CharacterAutomaton[],
  place: readonly number[],
): [number[], CharacterSet][] {
  let steps: [number[], CharacterSet][] = [[[], anyCharacter]];
  for (const [i, automaton] of automata.entries()) {
    const longer: [number[], CharacterSet][] = [];
    for (const { to, set } of automaton.edgesOf(place[i])) {
      if (!set) continue;
      for (const [targets, shared] of steps) {
        const both = intersection(shared, set);
        if (both.length > 0) longer.push([[...targets, to], both]);
      }
    }
    steps = longer;
  }
  return steps;
}

interface CharacterEdge {
  readonly to: number;
  /** undefined: reads nothing. */
  readonly set?: CharacterSet;
}

/** A regular expression's automaton over whole characters. */
class CharacterAutomaton {
  readonly start: number;
  readonly end: number;
  readonly #edges: CharacterEdge[][] = [];

  constructor(regex: Regex) {
    this.start = this.#state();
    this.end = this.#add(regex, this.start);
  }

  edgesOf(state: number): readonly CharacterEdge[] {
    return this.#edges[state];
  }

  #state(): number {
    if (this.#edges.length >= productLimit)
      throw new CriaError(
        "unsupported",
        `a pattern of more than ${productLimit} states with a format or a length`,
      );
    return this.#edges.push([]) - 1;
  }

  #edge(from: number, to: number, set?: CharacterSet): void {
    this.#edges[from].push(set ? { to, set } : { to });
  }

  /** Adds the ways to read the expression from a state; returns the state after it. */
  #add(regex: Regex, from: number): number {
    switch (regex.kind) {
      case "set":
      case "edge": {
        const to = this.#state();
        this.#edge(from, to, regex.kind === "set" ? regex.set : undefined);
        return to;
      }
      case "sequence": {
        let at = from;
        for (const part of regex.parts) at = this.#add(part, at);
        return at;
      }
      case "choice": {
        const to = this.#state();
        for (const option of regex.options) this.#edge(this.#add(option, from), to);
        return to;
      }
      case "repeat":
        return this.#addRepeat(regex.body, regex.min, regex.max, from);
    }
  }

  #addRepeat(body: Regex, min: number, max: number, from: number): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.#add(body, at);
    const to = this.#state();
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#state();
      this.#edge(at, loop);
      this.#edge(this.#add(body, loop), loop);
      this.#edge(loop, to);
      return to;
    }
    for (let i = min; i < max; i++) {
      this.#edge(at, to);
      at = this.#add(body, at);
    }
    this.#edge(at, to);
    return to;
  }
}
