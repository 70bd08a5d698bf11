/**
 * Speculative decoding: guesses the next tokens and has the model check them all in one step.
 *
 *   step over [token, guess 1 … guess k] → k + 1 rows of logits; row i counts while guesses 1 … i were right
 *
 * The sampler draws from the model's own logits at each place in order, guesses or not, and a row's logits do not depend
 * on the rows beside it, to the bit. So the answer is the one that plain decoding gives; guesses only change the time.
 *
 * Flow: generate.ts (sampled id) → Speculation (step, or a row that is there already) → logits → sampler.
 *
 * Source: Leviathan et al. 2023 (arXiv 2211.17192) for checking in one step; prompt lookup: Saxena 2023.
 */
import { PAGE_LENGTH } from "../model/page-table.ts";
import { CriaError } from "../shared/errors.ts";
import { sharedLength } from "../shared/shared-length.ts";
import type { Sequence } from "./engine.ts";
import { MOST_DECODED } from "./scheduler.ts";

/** A model that guesses, as far as guessing needs it: `Model` is one. */
export interface DraftModel {
  readonly contextLength: number;
  readonly tokenizer: { readonly vocabularySize: number };
  generate(
    ids: readonly number[],
    options: {
      readonly maxTokens: number;
      readonly temperature: number;
      readonly ignoreEnd: boolean;
      readonly signal?: AbortSignal;
    },
  ): { result(): Promise<{ readonly ids: readonly number[] }> };
}

/** Where guesses come from: what followed the same tokens earlier in the text, or a smaller model's greedy answer. */
export type Speculate = "prompt-lookup" | { readonly draft: DraftModel };

/** How guessing went. */
export interface SpeculationCounts {
  readonly drafted: number;
  readonly accepted: number;
}

/** Guesses a step: with the token that they follow it is still one of decoding. */
const DRAFT_LENGTH = MOST_DECODED - 1;
/** Tokens that must have come before in the same order: the more, the surer. */
const LOOKUP_LENGTHS = [3, 2];

export class Speculation {
  readonly counts = { drafted: 0, accepted: 0 };
  readonly #sequence: Sequence;
  readonly #speculate: Speculate;
  readonly #text: number[];
  readonly #signal: AbortSignal | undefined;
  /** Guesses of the last step that are not sampled yet, and the logits after each of them. */
  #guesses: readonly number[] = [];
  #rows: Float32Array[] = [];

  /** @throws {CriaError} code "bad-input" for another way to guess, or a draft model with other tokens. */
  constructor(
    sequence: Sequence,
    speculate: Speculate,
    vocabularySize: number,
    prompt: readonly number[],
    signal: AbortSignal | undefined,
  ) {
    if (speculate !== "prompt-lookup" && typeof speculate.draft?.generate !== "function")
      throw new CriaError(
        "bad-input",
        `speculate: expected "prompt-lookup" or { draft: a model }, got ${JSON.stringify(speculate)}`,
      );
    if (speculate !== "prompt-lookup" && speculate.draft.tokenizer.vocabularySize !== vocabularySize)
      throw new CriaError(
        "bad-input",
        `the draft model has ${speculate.draft.tokenizer.vocabularySize} tokens, but the model ${vocabularySize}`,
      );
    this.#sequence = sequence;
    this.#speculate = speculate;
    this.#text = [...prompt];
    this.#signal = signal;
  }

  /** The logits after `id`, the token that follows the text. `wanted`: tokens that the answer may still take. */
  async next(id: number, wanted: number): Promise<Float32Array> {
    this.#text.push(id);
    const [row] = this.#rows;
    if (row && this.#guesses[0] === id) {
      this.counts.accepted++;
      this.#guesses = this.#guesses.slice(1);
      this.#rows.shift();
      return row;
    }
    // Wrong guesses leave the cache; they lie in a page that nobody else can find (see #room).
    this.#sequence.truncate(this.#text.length - 1);
    const room = this.#room(wanted);
    const guesses = room > 0 ? await this.#guess(room) : [];
    const rows: Float32Array[] = [];
    await this.#sequence.append([id, ...guesses], "all", {
      ...(this.#signal ? { signal: this.#signal } : {}),
      onLogits: (logits) => rows.push(logits),
    });
    this.counts.drafted += guesses.length;
    this.#guesses = guesses;
    this.#rows = rows.slice(1);
    return rows[0];
  }

  /** Takes guesses that were not met out of the sequence; `text` is the prompt and the answer, which may be broken off. */
  end(text: readonly number[]): void {
    this.#sequence.truncate(sharedLength(this.#sequence.ids, text));
  }

  /**
   * Guesses that a step may hold: no more than the answer can take, and none that fills a page, since full pages are
   * shared and cannot be cut.
   */
  #room(wanted: number): number {
    const left = PAGE_LENGTH - 1 - (this.#text.length % PAGE_LENGTH);
    return Math.min(DRAFT_LENGTH, wanted - 1, left);
  }

  async #guess(count: number): Promise<readonly number[]> {
    if (this.#speculate === "prompt-lookup") return lookUp(this.#text, count);
    const { draft } = this.#speculate;
    if (this.#text.length + count > draft.contextLength) return [];
    const answer = draft.generate(this.#text, {
      maxTokens: count,
      temperature: 0,
      ignoreEnd: true,
      ...(this.#signal ? { signal: this.#signal } : {}),
    });
    return (await answer.result()).ids;
  }
}

/** What followed the last tokens where they stood last before, at most `count` tokens. */
function lookUp(text: readonly number[], count: number): readonly number[] {
  for (const length of LOOKUP_LENGTHS)
    for (let end = text.length - 1; end >= length; end--) {
      let same = 0;
      while (same < length && text[end - 1 - same] === text[text.length - 1 - same]) same++;
      if (same === length) return text.slice(end, end + count);
    }
  return [];
}
