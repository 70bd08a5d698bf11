/**
 * Runs an automaton over bytes: a pushdown machine that follows all ways at once.
 *
 *   place          a state with a stack; stacks are linked frames that share their tails
 *   Configuration  the set of places that some text leads to, with its successors by byte class, made when first needed
 *
 * Equal frames are one object, found through their parent, and equal configurations are one object, so a byte that was
 * read before costs one look-up. When too many have been kept, all are dropped and what is still used is made again.
 *
 * A configuration that starts over the frame `below` shows what a text can do from one state whatever lies deeper in
 * the stack: `leaves` says that it may go on there. Masks are made from these (token-mask.ts).
 *
 * Flow: automaton.ts → Machine → Configuration → token-mask.ts, token-constraint.ts.
 * Source: Dong et al. 2024, arXiv 2411.15100 (XGrammar: masks by automaton state, shared stacks).
 */
import { CriaError } from "../shared/errors.ts";
import type { Automaton, Call } from "./automaton.ts";

/** A call in progress: after this round at least `minLeft` and at most `maxLeft` more follow. */
export class Frame {
  readonly id: number;
  readonly call: Call | undefined;
  readonly minLeft: number;
  readonly maxLeft: number;
  readonly parent: Frame | undefined;
  children: Map<number, Frame> | undefined;

  constructor(id: number, call?: Call, minLeft = 0, maxLeft = 0, parent?: Frame) {
    this.id = id;
    this.call = call;
    this.minLeft = minLeft;
    this.maxLeft = maxLeft;
    this.parent = parent;
  }
}

/** What a frame counts, without where it stands. */
export interface Counter {
  readonly call: Call;
  readonly minLeft: number;
  readonly maxLeft: number;
}

export interface Place {
  /** A state with byte edges. */
  readonly state: number;
  readonly frame: Frame;
}

export interface Configuration {
  readonly places: readonly Place[];
  /** The text may end here. */
  readonly accepts: boolean;
  /** The text may go on in what lies below. */
  readonly leaves: boolean;
  /** By byte class; null where no way goes on, undefined where nobody has asked. */
  readonly next: (Configuration | null | undefined)[];
  /** What token-mask.ts keeps: one bit a token. */
  mask?: Uint32Array | undefined;
}

/** More ways at once than this mean a grammar that is ambiguous at every step. */
const placeLimit = 20_000;
/** About 20 to 60 MB. */
const configurationLimit = 30_000;
const frameLimit = 300_000;
const infiniteCount = 65_535;
const rootId = 0;
const belowId = 1;

export class Machine {
  readonly automaton: Automaton;
  /** Counts how often what was kept has been dropped. */
  epoch = 0;
  #root = new Frame(rootId);
  #below = new Frame(belowId);
  #frameCount = 2;
  #configurations = new Map<string, Configuration>();
  readonly #frameLimit: number;
  readonly #configurationLimit: number;

  constructor(automaton: Automaton, limits: { frames?: number; configurations?: number } = {}) {
    this.automaton = automaton;
    this.#frameLimit = limits.frames ?? frameLimit;
    this.#configurationLimit = limits.configurations ?? configurationLimit;
  }

  /** Before the first byte. */
  start(): Configuration {
    return this.#close([{ state: this.automaton.start, frame: this.#root }]);
  }

  /** One state over an unknown stack with some counters on top, the innermost first; empty edges are not followed. */
  startAt(state: number, counters: readonly Counter[]): Configuration {
    let frame = this.#below;
    for (let i = counters.length - 1; i >= 0; i--) {
      const { call, minLeft, maxLeft } = counters[i];
      frame = this.#push(frame, call, minLeft, maxLeft);
    }
    return this.#intern([{ state, frame }], false, false);
  }

  /** After one byte, or null where no text goes on so. */
  step(from: Configuration, byte: number): Configuration | null {
    const byteClass = this.automaton.classOfByte[byte];
    const known = from.next[byteClass];
    if (known !== undefined) return known;
    const targets: Place[] = [];
    for (const { state, frame } of from.places) {
      const { bytes } = this.automaton.states[state];
      for (let i = 0; i < bytes.length; i += 3)
        if (byte >= bytes[i] && byte <= bytes[i + 1]) targets.push({ state: bytes[i + 2], frame });
    }
    const next = targets.length === 0 ? null : this.#close(targets);
    from.next[byteClass] = next;
    return next;
  }

  /**
   * Drops what is kept if it is too much. Returns the configuration to go on from: the same, or its new equal. The
   * mask of an older configuration stays valid.
   */
  tidy(current: Configuration): Configuration {
    if (this.#frameCount < this.#frameLimit && this.#configurations.size < this.#configurationLimit)
      return current;
    this.drop();
    return this.adopt(current);
  }

  /** Drops all that is kept. Configurations made before must be adopted before they are stepped. */
  drop(): void {
    this.epoch++;
    this.#root = new Frame(rootId);
    this.#below = new Frame(belowId);
    this.#frameCount = 2;
    this.#configurations = new Map();
  }

  /** The equal of a configuration that was made before the last drop. */
  adopt(old: Configuration): Configuration {
    const renewed = new Map<Frame, Frame>();
    const renew = (oldest: Frame): Frame => {
      const chain: Frame[] = [];
      let at: Frame = oldest;
      for (; at.parent && !renewed.has(at); at = at.parent) chain.push(at);
      let frame = renewed.get(at) ?? (at.id === rootId ? this.#root : this.#below);
      for (let i = chain.length - 1; i >= 0; i--) {
        const { call, minLeft, maxLeft } = chain[i];
        frame = this.#push(frame, call!, minLeft, maxLeft);
        renewed.set(chain[i], frame);
      }
      return frame;
    };
    const places = old.places.map(({ state, frame }) => ({ state, frame: renew(frame) }));
    return this.#intern(places, old.accepts, old.leaves);
  }

  #push(parent: Frame, call: Call, minLeft: number, maxLeft: number): Frame {
    const key = (call.index * 65_536 + minLeft) * 65_536 + Math.min(maxLeft, infiniteCount);
    parent.children ??= new Map();
    let frame = parent.children.get(key);
    if (!frame) {
      frame = new Frame(this.#frameCount++, call, minLeft, maxLeft, parent);
      parent.children.set(key, frame);
    }
    return frame;
  }

  /** Follows empty edges, calls and returns from some places. */
  #close(from: readonly Place[]): Configuration {
    const { states } = this.automaton;
    const seen = new Set<number>();
    const places: Place[] = [];
    const work: Place[] = [];
    let accepts = false;
    let leaves = false;
    const add = (state: number, frame: Frame) => {
      const key = state * 2 ** 31 + frame.id;
      if (seen.has(key)) return;
      if (seen.size >= placeLimit)
        throw new CriaError(
          "unsupported",
          `the grammar can be read in more than ${placeLimit} ways at once; make it less ambiguous`,
        );
      seen.add(key);
      work.push({ state, frame });
    };
    for (const place of from) add(place.state, place.frame);
    for (let place = work.pop(); place; place = work.pop()) {
      const { frame } = place;
      const state = states[place.state];
      if (state.bytes.length > 0) places.push(place);
      for (const target of state.empty) add(target, frame);
      for (const call of state.calls) {
        // After a last call there is nothing to come back to: a list written by right recursion needs no stack.
        const isLast = call.max === 1 && isBareEnd(states[call.next]);
        const inner = isLast ? frame : this.#push(frame, call, call.min - 1, call.max - 1);
        add(call.start, inner);
      }
      if (!state.isEnd) continue;
      const { call, parent, minLeft, maxLeft } = frame;
      if (call && parent) {
        if (minLeft === 0) add(call.next, parent);
        if (maxLeft > 0) add(call.start, this.#push(parent, call, Math.max(0, minLeft - 1), maxLeft - 1));
      } else if (frame.id === rootId) accepts = true;
      else leaves = true;
    }
    return this.#intern(places, accepts, leaves);
  }

  #intern(places: Place[], accepts: boolean, leaves: boolean): Configuration {
    places.sort((a, b) => a.state - b.state || a.frame.id - b.frame.id);
    let key = `${accepts ? "a" : ""}${leaves ? "l" : ""}`;
    for (const { state, frame } of places) key += `,${state}:${frame.id}`;
    let found = this.#configurations.get(key);
    if (!found) {
      found = { places, accepts, leaves, next: new Array(this.automaton.classCount) };
      this.#configurations.set(key, found);
    }
    return found;
  }
}

function isBareEnd(state: Automaton["states"][number]): boolean {
  return state.isEnd && state.bytes.length === 0 && state.empty.length === 0 && state.calls.length === 0;
}
