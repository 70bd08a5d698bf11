/**
 * The likeliest tokens of a row of logits, found without sorting the whole vocabulary.
 *
 * `select` keeps the k largest logits in a heap whose root is the smallest kept: one comparison a token, and a heap step
 * only for the few that get in. Order everywhere is by logit downwards, then by id upwards, so a tie is never left to
 * chance.
 *
 * Flow: sampler.ts, log-probabilities.ts (logits) → Candidates → ids and logits in order.
 */
export class Candidates {
  /** Token ids; the first `count` are in use. */
  readonly ids: Int32Array;
  /** Their logits. */
  readonly logits: Float32Array;
  count = 0;

  constructor(capacity: number) {
    this.ids = new Int32Array(capacity);
    this.logits = new Float32Array(capacity);
  }

  /** Takes the whole row, in the order of ids. */
  takeAll(row: Float32Array): void {
    this.count = row.length;
    for (let id = 0; id < row.length; id++) this.#put(id, id, row[id]);
  }

  /** Takes the `wanted` largest logits of the row, at most as many as there is room for, in order. */
  select(row: Float32Array, wanted: number): void {
    const capacity = Math.min(wanted, this.ids.length, row.length);
    this.count = capacity;
    for (let id = 0; id < capacity; id++) this.#put(id, id, row[id]);
    for (let root = (capacity >> 1) - 1; root >= 0; root--) this.#sink(root, capacity);
    for (let id = capacity; capacity > 0 && id < row.length; id++) {
      // A later id loses a tie against the ids that are in already, so only a larger logit enters.
      if (row[id] <= this.logits[0]) continue;
      this.#put(0, id, row[id]);
      this.#sink(0, capacity);
    }
    // Heap sort: the smallest goes to the end, again and again.
    for (let last = capacity - 1; last > 0; last--) {
      this.#swap(0, last);
      this.#sink(0, last);
    }
  }

  #put(slot: number, id: number, logit: number): void {
    this.ids[slot] = id;
    this.logits[slot] = logit;
  }

  #swap(a: number, b: number): void {
    const id = this.ids[a];
    const logit = this.logits[a];
    this.#put(a, this.ids[b], this.logits[b]);
    this.#put(b, id, logit);
  }

  /** Whether slot `a` belongs after slot `b` in the final order. */
  #after(a: number, b: number): boolean {
    const { ids, logits } = this;
    return logits[a] < logits[b] || (logits[a] === logits[b] && ids[a] > ids[b]);
  }

  /** Moves a slot down a heap of `size` slots until nothing below it is smaller. */
  #sink(slot: number, size: number): void {
    for (;;) {
      let smallest = slot;
      const left = 2 * slot + 1;
      if (left < size && this.#after(left, smallest)) smallest = left;
      if (left + 1 < size && this.#after(left + 1, smallest)) smallest = left + 1;
      if (smallest === slot) return;
      this.#swap(slot, smallest);
      slot = smallest;
    }
  }
}
