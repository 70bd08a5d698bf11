/**
 * What a text may be, as an expression over characters; every front end (JSON schema, regular expression, GBNF) makes
 * one, and automaton.ts compiles it.
 *
 *   literal "abc" | characters [a-z] | sequence e₁ e₂ … | choice e₁ | e₂ … | repeat e{min,max} | reference rule
 *   graph    a small automaton whose edges are expressions, for what the others would write too long
 */
import { CriaError } from "../shared/errors.ts";
import type { CharacterSet } from "./character-set.ts";

export type Expression =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "characters"; readonly set: CharacterSet }
  | { readonly kind: "sequence"; readonly parts: readonly Expression[] }
  | { readonly kind: "choice"; readonly options: readonly Expression[] }
  | { readonly kind: "repeat"; readonly body: Expression; readonly min: number; readonly max: number }
  | { readonly kind: "reference"; readonly rule: string }
  | Graph;

/** States 0 … stateCount − 1; a text goes from 0 to `end`. */
export interface Graph {
  readonly kind: "graph";
  readonly stateCount: number;
  readonly end: number;
  readonly edges: readonly GraphEdge[];
}

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  readonly label: Expression;
}

/** Named expressions; a text is what the rule `root` derives. */
export interface Grammar {
  readonly root: string;
  readonly rules: ReadonlyMap<string, Expression>;
}

/** Counted repetitions go up to here; more is "without limit" or an error of the front end. */
export const countLimit = 65_534;

export const empty: Expression = { kind: "sequence", parts: [] };
/** Derives nothing at all. */
export const never: Expression = { kind: "choice", options: [] };

export function literal(text: string): Expression {
  return { kind: "literal", text };
}

export function characters(set: CharacterSet): Expression {
  return { kind: "characters", set };
}

export function sequence(...parts: readonly Expression[]): Expression {
  return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
}

export function choice(...options: readonly Expression[]): Expression {
  return options.length === 1 ? options[0] : { kind: "choice", options };
}

export function optional(body: Expression): Expression {
  return repeat(body, 0, 1);
}

export function reference(rule: string): Expression {
  return { kind: "reference", rule };
}

/**
 * `max` may be Infinity.
 *
 * @throws {CriaError} "unsupported" for a count above `countLimit`.
 */
export function repeat(body: Expression, min = 0, max: number = Number.POSITIVE_INFINITY): Expression {
  if (min > countLimit || (max !== Number.POSITIVE_INFINITY && max > countLimit))
    throw new CriaError(
      "unsupported",
      `a repetition of ${min} to ${max}: counts up to ${countLimit} are supported`,
    );
  if (max < min) return never;
  return min === 1 && max === 1 ? body : { kind: "repeat", body, min, max };
}

/** One of some texts, as a trie: a thousand of them cost no more than one at each step. */
export function oneOf(texts: readonly string[]): Expression {
  const edges: GraphEdge[] = [];
  const end = 1;
  const children: Map<string, number>[] = [new Map(), new Map()];
  const ends = new Set<number>();
  for (const text of texts) {
    let state = 0;
    for (const character of text) {
      let next = children[state].get(character);
      if (next === undefined) {
        next = children.length;
        children.push(new Map());
        children[state].set(character, next);
        edges.push({ from: state, to: next, label: literal(character) });
      }
      state = next;
    }
    if (ends.has(state)) continue;
    ends.add(state);
    edges.push({ from: state, to: end, label: empty });
  }
  return { kind: "graph", stateCount: children.length, end, edges };
}
