/**
 * Makes tokens less likely that the text used recently.
 *
 * For a token that occurs n > 0 times among the last `repeatLastN` ones:
 *
 *   logit ← (logit > 0 ? logit / repeatPenalty : logit · repeatPenalty) − n · frequencyPenalty − presencePenalty
 *
 * Flow: sampler.ts (accepted ids) → Penalties → adjusted logits.
 * Source: Keskar et al. 2019, arXiv 1909.05858 (repeat); the OpenAI API (frequency, presence); llama.cpp (their order).
 */
import type { ResolvedSampling } from "./sampler.ts";

export class Penalties {
  readonly #options: ResolvedSampling;
  /** The last ids, at most `repeatLastN`: a ring once it is full. */
  readonly #ring: number[] = [];
  #oldest = 0;
  readonly #counts = new Map<number, number>();

  constructor(options: ResolvedSampling) {
    this.#options = options;
  }

  /** Whether the options ask for any penalty; if not, `accept` and `apply` do nothing. */
  get active(): boolean {
    const { repeatPenalty, frequencyPenalty, presencePenalty, repeatLastN } = this.#options;
    return repeatLastN !== 0 && (repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0);
  }

  accept(id: number): void {
    if (!this.active) return;
    const { repeatLastN } = this.#options;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    if (repeatLastN < 0) return;
    if (this.#ring.length < repeatLastN) {
      this.#ring.push(id);
      return;
    }
    this.#forget(this.#ring[this.#oldest]);
    this.#ring[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % repeatLastN;
  }

  /** Changes the logits of recent tokens in place. */
  apply(logits: Float32Array): void {
    if (!this.active) return;
    const { repeatPenalty, frequencyPenalty, presencePenalty } = this.#options;
    for (const [id, count] of this.#counts) {
      const logit = logits[id];
      const scaled = logit > 0 ? logit / repeatPenalty : logit * repeatPenalty;
      logits[id] = scaled - count * frequencyPenalty - presencePenalty;
    }
  }

  #forget(id: number): void {
    const count = this.#counts.get(id) ?? 0;
    if (count > 1) this.#counts.set(id, count - 1);
    else this.#counts.delete(id);
  }
}
