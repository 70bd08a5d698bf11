/**
 * The random numbers of Cria: the same seed gives the same numbers on every machine.
 *
 * xoshiro128** over four 32-bit words, filled from the seed by a mixing function; two outputs make one number:
 *
 *   u = (⌊a / 2⁵⌋ · 2²⁶ + ⌊b / 2⁶⌋) / 2⁵³      uniform in [0, 1)
 *
 * Flow: seed → Random → sampler.ts, dropout, shuffles.
 * Source: Blackman & Vigna 2018, arXiv 1805.01407.
 */
import { CriaError } from "../shared/errors.ts";

/** The four words of a generator: enough to continue its sequence later. */
export type RandomState = readonly [number, number, number, number];

export class Random {
  readonly #words: Uint32Array = new Uint32Array(4);

  /**
   * @param seed an integer in [0, 2⁵³); those below 2³² give a sequence of their own each.
   * @throws {CriaError} "bad-input" for any other seed.
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new CriaError("bad-input", `seed: expected an integer from 0 to 2^53 - 1, got ${seed}`);
    const low = seed >>> 0;
    const high = Math.floor(seed / 2 ** 32);
    // The high word passes the mixer first, so that seeds that differ only there differ everywhere.
    let counter = low ^ mix(high);
    for (let i = 0; i < 4; i++) {
      counter = (counter + 0x9e3779b9) >>> 0;
      this.#words[i] = mix(counter);
    }
    // Four different counters through a bijection: at most one word is 0, so the state is never all zeros.
  }

  /** A generator that continues where `state` was read. */
  static from(state: RandomState): Random {
    if (state.length !== 4 || state.every((word) => word === 0))
      throw new CriaError("bad-input", "random state: expected four words that are not all 0");
    const random = new Random(0);
    random.#words.set(state);
    return random;
  }

  get state(): RandomState {
    const [a, b, c, d] = this.#words;
    return [a, b, c, d];
  }

  /** The next 32 bits, as an integer in [0, 2³²). */
  nextInteger(): number {
    const words = this.#words;
    const result = Math.imul(rotate(Math.imul(words[1], 5), 7), 9) >>> 0;
    const shifted = words[1] << 9;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = rotate(words[3], 11);
    return result;
  }

  /** The next number, uniform in [0, 1) in steps of 2⁻⁵³. */
  next(): number {
    const high = this.nextInteger() >>> 5;
    const low = this.nextInteger() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}

/** A seed from the platform's own source of randomness. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** A bijection of 32-bit words in which every input bit moves about half of the output bits. */
function mix(word: number): number {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
