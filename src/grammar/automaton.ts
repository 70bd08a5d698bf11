/**
 * A grammar as an automaton over bytes with calls: states, byte edges, empty edges, and calls of other parts of the
 * automaton that return to a state.
 *
 *   s --[20-7E]--> t      reads a byte
 *   s --call--> t         runs the callee between `min` and `max` times, then goes on at t
 *
 * Small rules that do not call themselves are copied where they are used; short repetitions are written out; long ones
 * are calls with a count, so that maxLength 10,000 needs no 10,000 states.
 *
 * Flow: expression.ts → compileGrammar → Automaton → machine.ts.
 */
import { CriaError } from "../shared/errors.ts";
import { type Expression, type Grammar, type Graph, sequence } from "./expression.ts";
import { leftRecursion } from "./left-recursion.ts";
import { isNullable, nonEmpty, nonEmptyName, nullableRules } from "./nullable.ts";
import { pruneUnproductive } from "./productive.ts";
import { utf8Sequences } from "./utf8-ranges.ts";

export interface Call {
  readonly index: number;
  /** First state of the callee. */
  start: number;
  /** Where the caller goes on. */
  next: number;
  readonly min: number;
  /** May be Infinity. */
  readonly max: number;
}

export interface State {
  /** [low byte, high byte, target] for each edge, in one flat list. */
  bytes: number[];
  /** Targets of empty edges. */
  empty: number[];
  calls: Call[];
  /** The callee ends here. */
  isEnd: boolean;
}

export interface Automaton {
  readonly start: number;
  readonly states: readonly State[];
  /** Bytes that no edge tells apart have the same class; [256]. */
  readonly classOfByte: Uint8Array;
  readonly classCount: number;
}

/** About a second's work on a slow machine. Ten thousand enum values of twenty characters stay below. */
const stateLimit = 200_000;
/** Rules and repetitions of up to this many states are written out. */
const inlineLimit = 48;
/** Deeper than this counts as large. */
const sizeDepthLimit = 300;

/**
 * @throws {CriaError} "unsupported" for left recursion or a grammar that is too large; "bad-input" for a rule that is
 * missing, or when no text at all fits.
 */
export function compileGrammar(grammar: Grammar): Automaton {
  const states = new Builder(grammar.rules).build(grammar.root);
  if (!pruneUnproductive(states, 0))
    throw new CriaError("bad-input", "the grammar fits no finite text: every way through it goes on forever");
  const start = skipEmptyEdges(states);
  return { start, states, ...byteClasses(states) };
}

class Builder {
  readonly #states: State[] = [];
  readonly #rules: Map<string, Expression>;
  readonly #nullable: Set<string>;
  readonly #starts = new Map<string, number>();
  readonly #sizes = new Map<string, number>();
  /** Bodies whose states are still to be made, with the states of their two ends. */
  readonly #pending: [Expression, number, number][] = [];
  #callCount = 0;

  constructor(rules: ReadonlyMap<string, Expression>) {
    this.#rules = new Map(rules);
    this.#nullable = new Set(nullableRules(rules));
    const circle = leftRecursion(rules, this.#nullable);
    if (circle)
      throw new CriaError(
        "unsupported",
        `left recursion: the rule ${circle.join(" → ")} begins with itself; put something to read before it`,
      );
  }

  /** The states, the first of them the start of `root`. */
  build(root: string): State[] {
    this.#call(root);
    for (let next = this.#pending.pop(); next; next = this.#pending.pop()) this.#emit(...next);
    return this.#states;
  }

  #state(): number {
    if (this.#states.length >= stateLimit)
      throw new CriaError(
        "unsupported",
        `the grammar needs more than ${stateLimit} states; make it smaller, or its counts lower`,
      );
    return this.#states.push({ bytes: [], empty: [], calls: [], isEnd: false }) - 1;
  }

  /** The first state of a rule, made when it is first called. */
  #call(rule: string): number {
    const known = this.#starts.get(rule);
    if (known !== undefined) return known;
    const start = this.#callee(this.#body(rule));
    this.#starts.set(rule, start);
    return start;
  }

  #callee(body: Expression): number {
    const start = this.#state();
    const end = this.#state();
    this.#states[end].isEnd = true;
    this.#pending.push([body, start, end]);
    return start;
  }

  #body(rule: string): Expression {
    const body = this.#rules.get(rule);
    if (!body) throw new CriaError("bad-input", `the grammar has no rule ${JSON.stringify(rule)}`);
    return body;
  }

  /** Adds all ways to read the expression between two states; adds no edge into `from` and none out of `to`. */
  #emit(expression: Expression, from: number, to: number): void {
    switch (expression.kind) {
      case "literal":
        this.#emitBytes(new TextEncoder().encode(expression.text), from, to);
        return;
      case "characters": {
        const tails = new Map<string, number>();
        for (const bytes of utf8Sequences(expression.set)) this.#emitRanges(bytes, from, to, tails);
        return;
      }
      case "choice":
        for (const option of expression.options) this.#emit(option, from, to);
        return;
      case "sequence": {
        const { parts } = expression;
        if (parts.length === 0) this.#states[from].empty.push(to);
        let at = from;
        for (const [i, part] of parts.entries()) {
          const next = i === parts.length - 1 ? to : this.#state();
          this.#emit(part, at, next);
          at = next;
        }
        return;
      }
      case "repeat":
        this.#emitRepeat(expression.body, expression.min, expression.max, from, to);
        return;
      case "reference":
        if (this.#size(expression) <= inlineLimit) this.#emit(this.#body(expression.rule), from, to);
        else this.#emitCall(this.#call(expression.rule), 1, 1, from, to);
        return;
      case "graph":
        this.#emitGraph(expression, from, to);
    }
  }

  #emitBytes(bytes: Uint8Array, from: number, to: number): void {
    if (bytes.length === 0) this.#states[from].empty.push(to);
    let at = from;
    for (const [i, byte] of bytes.entries()) {
      const next = i === bytes.length - 1 ? to : this.#state();
      this.#states[at].bytes.push(byte, byte, next);
      at = next;
    }
  }

  /** Sequences with the same last bytes share the states of these. */
  #emitRanges(ranges: readonly number[], from: number, to: number, tails: Map<string, number>): void {
    if (ranges.length === 2) {
      this.#states[from].bytes.push(ranges[0], ranges[1], to);
      return;
    }
    const tail = ranges.slice(2);
    const key = tail.join();
    let next = tails.get(key);
    if (next === undefined) {
      next = this.#state();
      tails.set(key, next);
      this.#emitRanges(tail, next, to, tails);
    }
    this.#states[from].bytes.push(ranges[0], ranges[1], next);
  }

  #emitRepeat(body: Expression, min: number, max: number, from: number, to: number): void {
    if (max === 0) {
      this.#states[from].empty.push(to);
      return;
    }
    if (isNullable(body, this.#nullable)) {
      const rest = nonEmpty(body, this.#nullable, (rule) => this.#makeTwin(rule));
      this.#emitRepeat(rest, 0, max, from, to);
      return;
    }
    // A class without characters has no size, but its copies have states.
    const size = Math.max(1, this.#size(body));
    const copies = max === Number.POSITIVE_INFINITY ? min : max;
    if (copies > 1 && size * copies > inlineLimit) {
      if (min === 0) this.#states[from].empty.push(to);
      this.#emitCall(this.#callee(body), Math.max(1, min), max, from, to);
      return;
    }
    let at = from;
    for (let i = 0; i < min; i++) {
      const next = this.#state();
      this.#emit(body, at, next);
      at = next;
    }
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#state();
      this.#states[at].empty.push(loop);
      this.#emit(body, loop, loop);
      this.#states[loop].empty.push(to);
      return;
    }
    for (let i = min; i < max; i++) {
      const next = this.#state();
      this.#states[at].empty.push(to);
      this.#emit(body, at, next);
      at = next;
    }
    this.#states[at].empty.push(to);
  }

  #emitCall(start: number, min: number, max: number, from: number, next: number): void {
    this.#states[from].calls.push({ index: this.#callCount++, start, next, min, max });
  }

  #emitGraph(graph: Graph, from: number, to: number): void {
    // States of its own, since edges of the graph may lead back to its first state and out of its last.
    const first = this.#states.length;
    for (let i = 0; i < graph.stateCount; i++) this.#state();
    this.#states[from].empty.push(first);
    for (const edge of graph.edges) this.#emit(edge.label, first + edge.from, first + edge.to);
    this.#states[first + graph.end].empty.push(to);
  }

  #makeTwin(rule: string): void {
    const name = nonEmptyName(rule);
    if (this.#rules.has(name)) return;
    this.#rules.set(name, sequence());
    this.#rules.set(
      name,
      nonEmpty(this.#body(rule), this.#nullable, (inner) => this.#makeTwin(inner)),
    );
  }

  /** About how many states it takes with everything written out; Infinity for what calls itself. */
  #size(expression: Expression, depth = 0): number {
    if (depth > sizeDepthLimit) return Number.POSITIVE_INFINITY;
    switch (expression.kind) {
      case "literal":
        return expression.text.length;
      case "characters":
        return expression.set.length + (expression.set.length > 0 && expression.set.at(-1)! > 0x7f ? 5 : 0);
      case "sequence":
        return sumOf(expression.parts, (part) => this.#size(part, depth + 1));
      case "choice":
        return sumOf(expression.options, (option) => this.#size(option, depth + 1));
      case "graph":
        return expression.stateCount + sumOf(expression.edges, ({ label }) => this.#size(label, depth + 1));
      case "repeat": {
        const copies = expression.max === Number.POSITIVE_INFINITY ? expression.min + 1 : expression.max;
        const size = this.#size(expression.body, depth + 1);
        // A long one becomes a counted call of one body.
        return copies > 1 && size * copies <= inlineLimit ? size * copies : size;
      }
      case "reference": {
        const known = this.#sizes.get(expression.rule);
        if (known !== undefined) return known;
        this.#sizes.set(expression.rule, Number.POSITIVE_INFINITY);
        const size = this.#size(this.#body(expression.rule), depth + 1);
        this.#sizes.set(expression.rule, size);
        return size;
      }
    }
  }
}

function sumOf<T>(items: readonly T[], size: (item: T) => number): number {
  let sum = 0;
  for (const item of items) sum += size(item);
  return sum;
}

/** Leads every edge past states that have nothing but one empty edge. Returns the new start. */
function skipEmptyEdges(states: State[]): number {
  const target = (from: number): number => {
    let at = from;
    for (let steps = 0; steps < 1000; steps++) {
      const { bytes, empty, calls, isEnd } = states[at];
      if (isEnd || bytes.length > 0 || calls.length > 0 || empty.length !== 1) break;
      at = empty[0];
    }
    return at;
  };
  for (const state of states) {
    for (let i = 2; i < state.bytes.length; i += 3) state.bytes[i] = target(state.bytes[i]);
    state.empty = [...new Set(state.empty.map(target))];
    for (const call of state.calls) {
      call.start = target(call.start);
      call.next = target(call.next);
    }
  }
  return target(0);
}

function byteClasses(states: readonly State[]): { classOfByte: Uint8Array; classCount: number } {
  const isFirst = new Uint8Array(257);
  isFirst[0] = 1;
  for (const { bytes } of states)
    for (let i = 0; i < bytes.length; i += 3) {
      isFirst[bytes[i]] = 1;
      isFirst[bytes[i + 1] + 1] = 1;
    }
  const classOfByte = new Uint8Array(256);
  let last = -1;
  for (let byte = 0; byte < 256; byte++) {
    if (isFirst[byte]) last++;
    classOfByte[byte] = last;
  }
  return { classOfByte, classCount: last + 1 };
}
