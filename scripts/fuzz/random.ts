/**
 * Random numbers from (seed, index): the n-th mutant can be made again without those before it.
 *
 * Source: mulberry32 (Tommy Ettinger, public domain) over a mixed state.
 */

export class Random {
  #state: number;

  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
    // Neighbouring indexes begin alike: the first numbers are thrown away.
    this.uint32();
    this.uint32();
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** An integer in [0, limit); 0 when `limit` is 0. */
  below(limit: number): number {
    return limit > 0 ? Math.floor((this.uint32() / 2 ** 32) * limit) : 0;
  }

  chance(probability: number): boolean {
    return this.uint32() < probability * 2 ** 32;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}
