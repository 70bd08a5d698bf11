/**
 * A grammar and a tokenizer as a constraint of generation.
 *
 * What counts is the text that the tokenizer will decode: bytes of tokens one after the other, of which the first
 * loses its leading space where the tokenizer drops it.
 *
 * Flow: automaton.ts → grammarConstraint → generate.ts (start) → GrammarState → sampler.ts (mask), generate.ts (accept).
 */
import type { Constraint, ConstraintContext, ConstraintState } from "../generate/constraint.ts";
import { CriaError } from "../shared/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { compileGrammar } from "./automaton.ts";
import type { Grammar } from "./expression.ts";
import { type Configuration, Machine } from "./machine.ts";
import { TokenMasks } from "./token-mask.ts";
import { type TokenTexts, tokenTexts } from "./token-trie.ts";

/**
 * A constraint that can be shared by any number of answers of the tokenizer's model.
 *
 * @throws {CriaError} as compileGrammar does.
 */
export function grammarConstraint(tokenizer: Tokenizer, grammar: Grammar): Constraint {
  const machine = new Machine(compileGrammar(grammar));
  const texts = tokenTexts(tokenizer);
  const { vocabularySize } = tokenizer;
  const inside = new TokenMasks(machine, texts.insideTrie, vocabularySize);
  let firstMask: Uint32Array | undefined;
  const shared: Shared = {
    machine,
    texts,
    inside,
    pieceOf: (id) => tokenizer.pieceOf(id),
    firstMask: (start) => {
      // A configuration of its own: the kept one has the mask for the inside of a text.
      firstMask ??= new TokenMasks(machine, texts.firstTrie, vocabularySize).of({
        ...start,
        mask: undefined,
      });
      return firstMask;
    },
  };
  return { start: (context) => new GrammarState(shared, context) };
}

interface Shared {
  readonly machine: Machine;
  readonly texts: TokenTexts;
  readonly inside: TokenMasks;
  readonly pieceOf: (id: number) => string;
  readonly firstMask: (start: Configuration) => Uint32Array;
}

class GrammarState implements ConstraintState {
  readonly #shared: Shared;
  readonly #endIds: readonly number[];
  readonly #logitsOfEnds: number[] = [];
  #current: Configuration;
  #epoch: number;
  /** The next token is the answer's first and loses its leading space. */
  #atStart: boolean;
  #ended = false;

  constructor(shared: Shared, { continues, endIds }: ConstraintContext) {
    this.#shared = shared;
    this.#endIds = [...endIds];
    this.#atStart = !continues && shared.texts.first !== shared.texts.inside;
    this.#current = shared.machine.start();
    this.#epoch = shared.machine.epoch;
  }

  get finished(): boolean {
    return this.#ended || (this.#current.accepts && this.#current.places.length === 0);
  }

  mask(row: Float32Array): void {
    const { inside, firstMask } = this.#shared;
    const current = this.#tidied();
    const bits = this.#atStart ? firstMask(current) : inside.of(current);
    const kept = this.#logitsOfEnds;
    for (const [i, id] of this.#endIds.entries()) kept[i] = row[id];
    let any = current.accepts && this.#endIds.length > 0;
    for (let i = 0, id = 0; i < bits.length; i++, id += 32) {
      const word = bits[i];
      if (word !== 0) any = true;
      if (word === 0xffffffff) continue;
      if (word === 0) {
        row.fill(Number.NEGATIVE_INFINITY, id, id + 32);
        continue;
      }
      const end = Math.min(32, row.length - id);
      for (let bit = 0; bit < end; bit++)
        if (((word >>> bit) & 1) === 0) row[id + bit] = Number.NEGATIVE_INFINITY;
    }
    for (const [i, id] of this.#endIds.entries())
      row[id] = current.accepts ? kept[i] : Number.NEGATIVE_INFINITY;
    if (!any)
      throw new CriaError(
        "unsupported",
        `no token of the vocabulary goes on as the grammar demands; it wants one of the bytes ${this.#wantedBytes()}`,
      );
  }

  accept(id: number): void {
    if (this.#endIds.includes(id)) {
      if (!this.#current.accepts) throw this.#refusal(id);
      this.#ended = true;
      return;
    }
    const { machine, texts } = this.#shared;
    const bytes = (this.#atStart ? texts.first : texts.inside)[id];
    if (!bytes || this.#ended) throw this.#refusal(id);
    let next: Configuration | null = this.#tidied();
    for (const byte of bytes) {
      next = machine.step(next, byte);
      if (!next) throw this.#refusal(id);
    }
    this.#current = next;
    this.#atStart = false;
  }

  #tidied(): Configuration {
    const { machine, inside } = this.#shared;
    if (this.#epoch !== machine.epoch) this.#current = machine.adopt(this.#current);
    if (inside.isFull) {
      machine.drop();
      this.#current = machine.adopt(this.#current);
    } else this.#current = machine.tidy(this.#current);
    this.#epoch = machine.epoch;
    return this.#current;
  }

  #refusal(id: number): CriaError {
    const name = JSON.stringify(this.#shared.pieceOf(id));
    return new CriaError("bad-input", `token ${id} (${name}) does not fit the grammar here`);
  }

  #wantedBytes(): string {
    const { states } = this.#shared.machine.automaton;
    const wanted = new Set<string>();
    for (const { state } of this.#current.places) {
      const { bytes } = states[state];
      for (let i = 0; i < bytes.length && wanted.size < 10; i += 3)
        wanted.add(bytes[i] === bytes[i + 1] ? hex(bytes[i]) : `${hex(bytes[i])}-${hex(bytes[i + 1])}`);
    }
    return [...wanted].join(", ");
  }
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}
