/**
 * Which tokens may come next, as a bit for each.
 *
 * What a token can do depends mostly on one state of the automaton and not on the stack below it. So the tree of tokens
 * is walked once for a state, over an unknown stack, and the result is kept: tokens that fit, and nodes of the tree
 * where the text leaves for the unknown stack. At run time these few subtrees are walked with the true stack.
 *
 *   mask(configuration) = ⋃ over its places (kept bits ∪ tokens below its leaving nodes that fit the true stack)
 *
 * Counters are part of what is kept, but only up to a few rounds: a token of 16 bytes cannot tell 500 rounds left from
 * 400. The few longer tokens are checked at run time where that matters.
 *
 * Flow: token-trie.ts, machine.ts → TokenMasks → token-constraint.ts.
 * Source: Dong et al. 2024, arXiv 2411.15100.
 */
import type { Configuration, Counter, Machine, Place } from "./machine.ts";
import type { TokenTrie } from "./token-trie.ts";

interface LocalMask {
  readonly bits: Uint32Array;
  /** Nodes of the tree after which the text may go on in the stack below; none lies below another. */
  readonly leaving: readonly number[];
}

/** With more places than this, one walk with the true stacks is cheaper than one for each. */
const localPlaceLimit = 16;
/** Rounds left that are told apart. */
const roundLimit = 16;
/** Counters of nested repetitions that are told apart; what lies deeper counts as unknown stack. */
const counterLimit = 2;
const keptBytes = 32 << 20;

export class TokenMasks {
  readonly #machine: Machine;
  readonly #trie: TokenTrie;
  readonly #wordCount: number;
  readonly #local = new Map<string, LocalMask>();
  readonly #keptLimit: number;
  #kept = 0;
  #keptEpoch = 0;
  /** The configuration after each byte of the path to a node. */
  readonly #path: Configuration[];
  /** The bytes on the way to a node, from 1 on. */
  readonly #ancestors: number[] = [];

  constructor(machine: Machine, trie: TokenTrie, vocabularySize: number) {
    this.#machine = machine;
    this.#trie = trie;
    this.#wordCount = Math.ceil(vocabularySize / 32);
    this.#keptLimit = Math.max(256, Math.floor(keptBytes / (4 * this.#wordCount)));
    this.#path = new Array(trie.longest + 1);
  }

  /** True when so many masks are kept with configurations that the machine should drop them. */
  get isFull(): boolean {
    return this.#keptEpoch === this.#machine.epoch && this.#kept >= this.#keptLimit;
  }

  /** Bit id % 32 of word id / 32 tells whether the token may come next. The result is kept and must not be written. */
  of(configuration: Configuration): Uint32Array {
    configuration.mask ??= this.#make(configuration);
    return configuration.mask;
  }

  #make(configuration: Configuration): Uint32Array {
    const { places } = configuration;
    const locals = places.length > localPlaceLimit ? undefined : places.map((place) => this.#localOf(place));
    if (locals?.length === 1 && locals[0].leaving.length === 0) return locals[0].bits;
    if (this.#keptEpoch !== this.#machine.epoch) this.#kept = 0;
    this.#keptEpoch = this.#machine.epoch;
    this.#kept++;
    const bits = new Uint32Array(this.#wordCount);
    if (!locals) {
      this.#walk(configuration, 0, this.#trie.nodeCount, 1, bits);
      return bits;
    }
    for (const local of locals) {
      for (let i = 0; i < bits.length; i++) bits[i] |= local.bits[i];
      for (const node of local.leaving) this.#walkBelow(configuration, node, bits);
    }
    return bits;
  }

  /** Walks the subtree below a node with the true stack. */
  #walkBelow(configuration: Configuration, node: number, bits: Uint32Array): void {
    const { parents, bytes, depths, skip } = this.#trie;
    const depth = depths[node];
    const ancestors = this.#ancestors;
    for (let i = depth, at = node; i >= 1; i--, at = parents[at]) ancestors[i] = bytes[at];
    let current: Configuration | null = configuration;
    for (let i = 1; i <= depth && current; i++) {
      current = this.#machine.step(current, ancestors[i]);
    }
    if (current) this.#walk(current, node + 1, skip[node], depth + 1, bits);
  }

  /** Sets the bits of the tokens that fit in the nodes [from, to), whose first byte is at `depth`. */
  #walk(start: Configuration, from: number, to: number, depth: number, bits: Uint32Array): void {
    const { bytes, depths, skip, tokens, tokenStart } = this.#trie;
    const machine = this.#machine;
    const { classOfByte } = machine.automaton;
    const path = this.#path;
    path[depth - 1] = start;
    for (let node = from; node < to; ) {
      const before = path[depths[node] - 1];
      const known = before.next[classOfByte[bytes[node]]];
      const next = known === undefined ? machine.step(before, bytes[node]) : known;
      if (!next) {
        node = skip[node];
        continue;
      }
      path[depths[node]] = next;
      for (let i = tokenStart[node]; i < tokenStart[node + 1]; i++)
        bits[tokens[i] >> 5] |= 1 << (tokens[i] & 31);
      node++;
    }
  }

  #localOf({ state, frame }: Place): LocalMask {
    // One more than a token can use up, so that the last round of a long token is not taken for the last of all.
    const most = roundLimit + 1;
    const counters: Counter[] = [];
    let key = `${state}`;
    let isClipped = false;
    for (
      let at = frame;
      at.call && at.call.max > 1 && counters.length < counterLimit && at.parent;
      at = at.parent
    ) {
      const { call, minLeft, maxLeft } = at;
      isClipped ||= minLeft > most || (maxLeft > most && maxLeft !== Number.POSITIVE_INFINITY);
      const counter = {
        call,
        minLeft: Math.min(minLeft, most),
        maxLeft: maxLeft === Number.POSITIVE_INFINITY ? maxLeft : Math.min(maxLeft, most),
      };
      counters.push(counter);
      key += `,${call.index}:${counter.minLeft}:${counter.maxLeft}`;
    }
    if (isClipped) key += "+";
    let local = this.#local.get(key);
    if (!local) {
      if (this.#local.size >= this.#keptLimit) this.#local.clear();
      local = this.#makeLocal(state, counters, isClipped ? roundLimit : Number.POSITIVE_INFINITY);
      this.#local.set(key, local);
    }
    return local;
  }

  /** Tokens of more than `depthLimit` bytes are left to the true stack. */
  #makeLocal(state: number, counters: readonly Counter[], depthLimit: number): LocalMask {
    const { bytes, depths, skip, tokens, tokenStart, nodeCount } = this.#trie;
    const machine = this.#machine;
    const { classOfByte } = machine.automaton;
    const path = this.#path;
    const bits = new Uint32Array(this.#wordCount);
    const leaving: number[] = [];
    let leavingEnd = 0;
    path[0] = machine.startAt(state, counters);
    for (let node = 0; node < nodeCount; ) {
      const before = path[depths[node] - 1];
      const known = before.next[classOfByte[bytes[node]]];
      const next = known === undefined ? machine.step(before, bytes[node]) : known;
      if (!next) {
        node = skip[node];
        continue;
      }
      path[depths[node]] = next;
      for (let i = tokenStart[node]; i < tokenStart[node + 1]; i++)
        bits[tokens[i] >> 5] |= 1 << (tokens[i] & 31);
      const isDeep = depths[node] >= depthLimit;
      if ((next.leaves || isDeep) && node >= leavingEnd && skip[node] > node + 1) {
        leaving.push(node);
        leavingEnd = skip[node];
      }
      node = next.places.length === 0 || isDeep ? skip[node] : node + 1;
    }
    return { bits, leaving };
  }
}
