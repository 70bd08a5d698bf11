/**
 * Picks the next token from a row of logits.
 *
 * The steps run in a fixed order, each narrowing the candidates: bias → penalties → constraint → top-k → top-p → min-p
 * → temperature → draw. Probabilities inside top-p and min-p are those before the temperature. Temperature 0 takes the
 * largest logit after the constraint, so the same prompt always gives the same text.
 *
 *   top-k   the k largest logits
 *   top-p   of those in order, the first ones whose probabilities reach p (the one that crosses p stays)
 *   min-p   those with probability ≥ p · the largest, that is logit ≥ largest logit + ln p
 *   draw    probability ∝ exp(logit / temperature)
 *
 * Names, defaults and "off" values of the options are llama.cpp's, so that a setting found elsewhere means the same.
 *
 * Flow: model/llama.ts (logits) → Sampler → generate.ts (token) → tokenizer (text).
 * Source: llama.cpp's default chain of samplers; Holtzman et al. 2019, arXiv 1904.09751 (top-p).
 */
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import { CriaError } from "../shared/errors.ts";
import { Candidates } from "./candidates.ts";
import type { ConstraintState } from "./constraint.ts";
import { checkedArgmax } from "./log-probabilities.ts";
import { Penalties } from "./penalties.ts";
import { Random, randomSeed } from "./random.ts";

/**
 * How to choose among likely tokens. Every field has a default, so `{}` is a sensible chat setting. What a model's maker
 * recommends in its files (model/recommended-sampling.ts) comes before the defaults that are given here.
 */
export interface SamplingOptions {
  /** 0 takes the likeliest token, 1 samples the model's own distribution. Default 0.8. */
  readonly temperature?: number;
  /** Keep this many likeliest tokens; 0 keeps all. Default 40. */
  readonly topK?: number;
  /** Keep the smallest set of likeliest tokens whose probabilities reach this sum, in (0, 1]. Default 0.95. */
  readonly topP?: number;
  /** Keep tokens at least this share as likely as the likeliest one, in [0, 1]. Default 0.05. */
  readonly minP?: number;
  /** Makes recent tokens less likely: divides their logits if positive, multiplies them if negative. Default 1 (off). */
  readonly repeatPenalty?: number;
  /** How many recent tokens the three penalties look at; 0 for none, -1 for all. Default 64. */
  readonly repeatLastN?: number;
  /** Subtracted from a recent token's logit for every time it occurs. Default 0. */
  readonly frequencyPenalty?: number;
  /** Subtracted once from the logit of every recent token. Default 0. */
  readonly presencePenalty?: number;
  /** Added to the logits of single tokens, by id; -Infinity or false bans a token. Default none. */
  readonly logitBias?: ReadonlyMap<number, number | false> | Readonly<Record<number, number | false>>;
  /** Fixes the random draws: equal seeds and options repeat a text exactly. Default random. */
  readonly seed?: number;
}

/** Every option decided and checked. */
export interface ResolvedSampling {
  readonly temperature: number;
  /** 0 keeps all. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  /** -1 is all. */
  readonly repeatLastN: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** Token id → what is added to its logit; -Infinity bans it. */
  readonly logitBias: ReadonlyMap<number, number>;
  readonly seed: number;
}

export class Sampler {
  readonly #options: ResolvedSampling;
  readonly #random: Random;
  readonly #penalties: Penalties;
  readonly #constraint: ConstraintState | undefined;
  /** Adjusted logits [vocabulary]; the caller's own are never written. Absent when nothing adjusts them. */
  readonly #adjusted: Float32Array | undefined;
  readonly #candidates: Candidates;
  /** exp(logit − largest) or its tempered form, by candidate. */
  readonly #weights: Float64Array;
  readonly #vocabularySize: number;

  /** @throws {CriaError} "bad-input" when the bias names a token outside the vocabulary. */
  constructor(options: ResolvedSampling, vocabularySize: number, constraint?: ConstraintState) {
    for (const id of options.logitBias.keys())
      if (id >= vocabularySize)
        throw new CriaError(
          "bad-input",
          `logitBias: token ${id} is outside the vocabulary of ${vocabularySize}`,
        );
    this.#options = options;
    this.#vocabularySize = vocabularySize;
    this.#random = new Random(options.seed);
    this.#penalties = new Penalties(options);
    this.#constraint = constraint;
    const adjusts = options.logitBias.size > 0 || this.#penalties.active || constraint !== undefined;
    this.#adjusted = adjusts ? new Float32Array(vocabularySize) : undefined;
    const { temperature, topK } = options;
    const capacity = temperature === 0 ? 0 : topK === 0 ? vocabularySize : Math.min(topK, vocabularySize);
    this.#candidates = new Candidates(capacity);
    this.#weights = new Float64Array(capacity);
  }

  /**
   * A token id. `logits` [vocabulary] are only read.
   *
   * @throws {CriaError} "bad-input" for a row of another length, a NaN or +Infinity in it, or when every token is banned.
   */
  sample(logits: Float32Array): number {
    if (logits.length !== this.#vocabularySize)
      throw new CriaError(
        "bad-input",
        `logits: expected ${this.#vocabularySize} numbers, got ${logits.length}`,
      );
    const row = this.#adjust(logits);
    const likeliest = checkedArgmax(row);
    if (this.#options.temperature === 0) return likeliest;
    const largest = row[likeliest];
    const total = this.#select(row, largest);
    this.#keepTopP(largest, total);
    this.#keepMinP(largest);
    return this.#draw(largest) ?? likeliest;
  }

  /**
   * Counts a token for the penalties: every token of the text so far, the prompt's too if they should count. The
   * constraint is advanced by its owner, since the prompt is no part of what it rules.
   */
  accept(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.#vocabularySize)
      throw new CriaError("bad-input", `token id ${id} is outside the vocabulary of ${this.#vocabularySize}`);
    this.#penalties.accept(id);
  }

  #adjust(logits: Float32Array): Float32Array {
    const row = this.#adjusted;
    if (!row) return logits;
    row.set(logits);
    for (const [id, bias] of this.#options.logitBias) row[id] += bias;
    this.#penalties.apply(row);
    this.#constraint?.mask(row);
    return row;
  }

  /** Top-k: fills the candidates and returns the sum of their weights, which are exp(logit − largest). */
  #select(row: Float32Array, largest: number): number {
    const { topK, topP, minP } = this.#options;
    const candidates = this.#candidates;
    if (topK > 0) {
      candidates.select(row, topK);
      return this.#weigh(largest, 1);
    }
    let total = 0;
    for (let id = 0; id < row.length; id++) total += Math.exp(row[id] - largest);
    if (topP === 1 && minP === 0) {
      candidates.takeAll(row);
      return total;
    }
    // All tokens are candidates, but top-p and min-p keep only the first few in order: sort no more than they need.
    for (let wanted = 256; ; wanted *= 8) {
      candidates.select(row, wanted);
      const sorted = this.#weigh(largest, 1);
      const last = candidates.logits[candidates.count - 1];
      if (candidates.count === row.length || sorted >= topP * total || last < largest + Math.log(minP))
        return total;
    }
  }

  #keepTopP(largest: number, total: number): void {
    const { topP } = this.#options;
    if (topP === 1) return;
    this.#weigh(largest, 1);
    let sum = 0;
    let kept = 0;
    while (kept < this.#candidates.count && sum < topP * total) sum += this.#weights[kept++];
    this.#candidates.count = Math.max(1, kept);
  }

  #keepMinP(largest: number): void {
    const { minP } = this.#options;
    if (minP === 0) return;
    const candidates = this.#candidates;
    const least = largest + Math.log(minP);
    while (candidates.count > 1 && candidates.logits[candidates.count - 1] < least) candidates.count--;
  }

  /** One of the candidates, or undefined when rounding left the draw beyond the last of them. */
  #draw(largest: number): number | undefined {
    const { count, ids } = this.#candidates;
    let rest = this.#random.next() * this.#weigh(largest, this.#options.temperature);
    for (let i = 0; i < count; i++) {
      rest -= this.#weights[i];
      if (rest < 0) return ids[i];
    }
    return undefined;
  }

  /** Writes exp((logit − largest) / temperature) for every candidate and returns the sum. */
  #weigh(largest: number, temperature: number): number {
    const { count, logits } = this.#candidates;
    const weights = this.#weights;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      weights[i] = Math.exp((logits[i] - largest) / temperature);
      sum += weights[i];
    }
    return sum;
  }
}

/**
 * Settings for every option: what is asked for, else what the model's maker recommends, else the defaults.
 *
 * @throws {CriaError} "bad-input", naming the option, for a value out of range.
 */
export function resolveSampling(
  options: SamplingOptions = {},
  recommended: RecommendedSampling = {},
): ResolvedSampling {
  const number = (
    name: keyof SamplingOptions,
    fallback: number,
    range: string,
    fits: (x: number) => boolean,
  ) => {
    const value: unknown = options[name] ?? recommended[name as keyof RecommendedSampling] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value) || !fits(value))
      throw new CriaError("bad-input", `${name}: expected ${range}, got ${String(value)}`);
    return value;
  };
  const whole = Number.isSafeInteger;
  return {
    temperature: number("temperature", 0.8, "a number of at least 0", (x) => x >= 0),
    topK: number("topK", 40, "a whole number, 0 for all", (x) => whole(x) && x >= 0),
    topP: number("topP", 0.95, "a number above 0, at most 1", (x) => x > 0 && x <= 1),
    minP: number("minP", 0.05, "a number from 0 to 1", (x) => x >= 0 && x <= 1),
    repeatPenalty: number("repeatPenalty", 1, "a number above 0", (x) => x > 0),
    repeatLastN: number("repeatLastN", 64, "a whole number, -1 for all", (x) => whole(x) && x >= -1),
    frequencyPenalty: number("frequencyPenalty", 0, "a number", () => true),
    presencePenalty: number("presencePenalty", 0, "a number", () => true),
    logitBias: resolveBias(options.logitBias),
    seed: number("seed", randomSeed(), "a whole number from 0 to 2^53 - 1", (x) => whole(x) && x >= 0),
  };
}

function resolveBias(bias: SamplingOptions["logitBias"] = {}): ReadonlyMap<number, number> {
  const entries: Iterable<[number | string, number | false]> =
    bias instanceof Map ? bias : Object.entries(bias as Record<number, number | false>);
  const resolved = new Map<number, number>();
  for (const [key, value] of entries) {
    const id = Number(key);
    const amount: unknown = value === false ? Number.NEGATIVE_INFINITY : value;
    if (!Number.isSafeInteger(id) || id < 0)
      throw new CriaError("bad-input", `logitBias: expected token ids, got ${JSON.stringify(key)}`);
    if (typeof amount !== "number" || Number.isNaN(amount) || amount === Number.POSITIVE_INFINITY)
      throw new CriaError(
        "bad-input",
        `logitBias: expected a number or false for token ${id}, got ${String(amount)}`,
      );
    resolved.set(id, amount);
  }
  return resolved;
}
