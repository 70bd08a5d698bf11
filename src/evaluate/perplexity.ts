/**
 * How surprised a model is by a text: e to the mean negative log-probability of its tokens. Lower is better.
 *
 * As llama.cpp counts it: the ids are cut into chunks of `chunkLength`; each chunk's first id is replaced by the
 * beginning-of-text id where the tokenizer adds one; the second half of each chunk is scored given what precedes it in
 * the chunk. A text shorter than one chunk is one chunk.
 *
 * Flow: text → tokenizer → Sequence.append (logits) → log-probabilities → mean.
 */
import { logProbability } from "../generate/log-probabilities.ts";
import type { Model } from "../generate/model.ts";
import { CriaError } from "../shared/errors.ts";

export interface PerplexityOptions {
  /** Tokens in a chunk. Default 512, or the model's context if that is shorter. */
  readonly chunkLength?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PerplexityResult & { readonly chunkCount: number }) => void;
}

/** Tokens of which two can be scored. */
const LEAST = 4;

export interface PerplexityResult {
  readonly perplexity: number;
  /** Standard error of the perplexity, from the spread of the tokens' log-probabilities. */
  readonly standardError: number;
  /** Tokens that were scored. */
  readonly tokenCount: number;
  /** Chunks that were evaluated. */
  readonly chunks: number;
}

/** @throws {CriaError} "bad-input" when the text has fewer than 4 tokens, "aborted". */
export async function perplexity(
  model: Model,
  text: string,
  options: PerplexityOptions = {},
): Promise<PerplexityResult> {
  const { tokenizer } = model;
  const ids = tokenizer.encode(text, { addSpecial: true });
  if (ids.length < LEAST)
    throw new CriaError("bad-input", `the text has ${ids.length} tokens; expected at least ${LEAST}`);
  const chunkLength = Math.min(options.chunkLength ?? 512, model.contextLength, ids.length);
  if (chunkLength < LEAST)
    throw new CriaError("bad-input", `chunks of ${chunkLength} tokens; expected at least ${LEAST}`);
  const chunkCount = Math.floor(ids.length / chunkLength);
  const score = new Score();
  return model.withSequence(async (sequence) => {
    for (let chunk = 0; chunk < chunkCount; chunk++) {
      const part = ids.slice(chunk * chunkLength, (chunk + 1) * chunkLength);
      if (tokenizer.addBos && tokenizer.special.bos !== undefined) part[0] = tokenizer.special.bos;
      const half = Math.floor(chunkLength / 2);
      const signal = options.signal ? { signal: options.signal } : {};
      sequence.truncate(0);
      await sequence.append(part.slice(0, half), "none", signal);
      // The last id of a chunk is a target only: nothing of this chunk comes after it.
      await sequence.append(part.slice(half, -1), "all", {
        ...signal,
        onLogits: (logits, index) => score.add(logProbability(logits, part[half + index + 1])),
      });
      options.onProgress?.({ ...score.result(chunk + 1), chunkCount });
    }
    return score.result(chunkCount);
  });
}

/** Mean and spread of negative log-probabilities. */
class Score {
  #count = 0;
  #sum = 0;
  #squares = 0;

  add(logProbability: number): void {
    this.#count++;
    this.#sum -= logProbability;
    this.#squares += logProbability * logProbability;
  }

  result(chunks: number): PerplexityResult {
    const mean = this.#sum / this.#count;
    const variance = Math.max(0, this.#squares / this.#count - mean * mean);
    const value = Math.exp(mean);
    const standardError = this.#count > 1 ? value * Math.sqrt(variance / (this.#count - 1)) : 0;
    return { perplexity: value, standardError, tokenCount: this.#count, chunks };
  }
}
