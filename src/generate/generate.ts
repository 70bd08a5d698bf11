/**
 * The loop from a prompt to an answer, one token at a time.
 *
 * It ends at an end-of-text token or a stop string (`stop`), or at the token limit or the end of the context
 * (`length`). Only text that can no longer change is handed out.
 *
 * Flow: prompt ids → Sequence (logits) → Sampler (id) → StreamDecoder → StopMatcher → the caller.
 */
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Constraint } from "./constraint.ts";
import type { Sequence } from "./engine.ts";
import { type LogProbability, logProbability, topLogProbabilities } from "./log-probabilities.ts";
import { resolveSampling, Sampler, type SamplingOptions } from "./sampler.ts";
import { type Speculate, Speculation, type SpeculationCounts } from "./speculative.ts";
import { StopMatcher } from "./stop.ts";

export interface GenerateOptions extends SamplingOptions {
  /** Tokens to make at most. Default: what the context has room for. */
  readonly maxTokens?: number;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: readonly string[];
  /** Go on after end-of-text tokens, as benchmarks do. Default false. */
  readonly ignoreEnd?: boolean;
  /** Never choose an end-of-text token, as llama.cpp's --ignore-eos; no effect with a constraint. Default false. */
  readonly neverEnd?: boolean;
  /** What the answer may be: a JSON schema, a regular expression, a grammar (grammar/). It ends when it is complete. */
  readonly constraint?: Constraint;
  /** Report the log-probability of each token and of this many alternatives (0 is allowed). Default: none. */
  readonly logProbabilities?: number;
  /** Report the log-probability of each prompt token after the first. Costs the whole prompt even when it is cached. */
  readonly promptLogProbabilities?: boolean;
  /** With `promptLogProbabilities`: report this many of the likeliest tokens in each prompt token's place as well. */
  readonly promptAlternatives?: number;
  /** Guess tokens and check several in one step: the same answer, sooner where guesses are often right. Default: none. */
  readonly speculate?: Speculate;
  readonly signal?: AbortSignal;
  /** Called while the prompt is processed. */
  readonly onPromptProgress?: (done: number, total: number) => void;
}

/**
 * A token of the answer. Its text may be empty while a character or a possible stop string is incomplete. Text that was
 * held back to the end comes with the last token's id again, and without a log-probability.
 */
export interface GeneratedToken {
  readonly id: number;
  readonly text: string;
  /** Natural log under the model's own distribution, before sampling options; where asked for. */
  readonly logProbability?: number;
  readonly alternatives?: readonly LogProbability[];
}

/** Times and counts under llama.cpp's names. */
export interface Timings {
  /** Prompt tokens that were still in the cache. */
  readonly cache_n: number;
  /** Prompt tokens that were processed. */
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_second: number;
  /** Tokens made, the end-of-text token included. */
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_second: number;
}

export interface GenerationResult {
  readonly text: string;
  /** Ids of the answer without the end-of-text token. */
  readonly ids: readonly number[];
  readonly promptIds: readonly number[];
  readonly finishReason: "stop" | "length";
  /** One for each id, where asked for. */
  readonly logProbabilities?: readonly number[];
  /** One for each prompt id; the first has none and is NaN. */
  readonly promptLogProbabilities?: readonly number[];
  /** One list for each prompt id, where asked for; the first is empty. */
  readonly promptAlternatives?: readonly (readonly LogProbability[])[];
  /** Guessed tokens and how many were right, where asked for. */
  readonly speculation?: SpeculationCounts;
  readonly timings: Timings;
}

/** How the caller's prompt and the answer join. */
export interface PromptText {
  readonly ids: readonly number[];
  /** The answer continues the prompt's text, so its leading space is kept. */
  readonly continues: boolean;
  /** Drop white space at the start of the answer, as Llama 2's chat format needs. */
  readonly trimStart?: boolean;
  /** Ends and stop texts of the chat format, besides the tokenizer's and the caller's. */
  readonly endIds?: ReadonlySet<number>;
  readonly stopStrings?: readonly string[];
}

/**
 * Makes the answer to a prompt. Yields each token, then returns the whole.
 *
 * @throws {CriaError} "context-full" when the prompt leaves no room for a token, "aborted", "bad-input" for options.
 */
export async function* generate(
  sequence: Sequence,
  contextLength: number,
  tokenizer: Tokenizer,
  prompt: PromptText,
  options: GenerateOptions = {},
  recommended: RecommendedSampling = {},
): AsyncGenerator<GeneratedToken, GenerationResult> {
  const { signal, maxTokens = contextLength } = options;
  if (!(Number.isInteger(maxTokens) && maxTokens >= 0))
    throw new CriaError("bad-input", `maxTokens is ${maxTokens}; expected an integer of at least 0`);
  if (options.stop !== undefined && !Array.isArray(options.stop))
    throw new CriaError("bad-input", `stop: expected a list of texts, got ${JSON.stringify(options.stop)}`);
  const endIds = prompt.endIds ? new Set([...tokenizer.endIds, ...prompt.endIds]) : tokenizer.endIds;
  const constraint = options.constraint?.start({ continues: prompt.continues, endIds });
  const sampling = resolveSampling(options, recommended);
  const banned = options.neverEnd && !constraint ? endIds : [];
  const logitBias = new Map([...sampling.logitBias, ...Array.from(banned, (id) => [id, -Infinity] as const)]);
  const sampler = new Sampler({ ...sampling, logitBias }, tokenizer.vocabularySize, constraint);
  // White space that a constraint allowed is part of the answer.
  const joins = constraint ? { ...prompt, trimStart: false } : prompt;
  const text = new AnswerText(tokenizer, joins, options.stop ?? []);
  const speculation = options.speculate
    ? new Speculation(sequence, options.speculate, tokenizer.vocabularySize, prompt.ids, signal)
    : undefined;
  // An embedding may have more rows than the tokenizer has names, to be a round number: those rows stand for no text.
  const named = (row: Float32Array): Float32Array => row.subarray(0, tokenizer.vocabularySize);
  const started = now();
  const prefill = await processPrompt(sequence, contextLength, prompt.ids, named, options);
  for (const id of prompt.ids) sampler.accept(id);
  const answered = now();

  const ids: number[] = [];
  const logProbabilities: number[] = [];
  const limit = Math.min(maxTokens, contextLength - prompt.ids.length);
  let finishReason: "stop" | "length" = "length";
  let predicted = 0;
  let { logits } = prefill;
  try {
    while (predicted < limit) {
      throwIfAborted(signal);
      if (constraint?.finished) {
        finishReason = "stop";
        break;
      }
      const row = named(logits);
      const id = sampler.sample(row);
      predicted++;
      if (endIds.has(id) && (!options.ignoreEnd || constraint)) {
        finishReason = "stop";
        break;
      }
      sampler.accept(id);
      constraint?.accept(id);
      ids.push(id);
      const piece = text.push(id);
      const reported = reportOf(row, id, options.logProbabilities);
      if (reported) logProbabilities.push(reported.logProbability);
      yield { id, text: piece, ...reported };
      if (text.stopped || constraint?.finished) {
        finishReason = "stop";
        break;
      }
      if (predicted >= limit) break;
      if (speculation) logits = await speculation.next(id, limit - predicted);
      else
        await sequence.append([id], "last", {
          ...(signal ? { signal } : {}),
          logitsRoom: logits,
          onLogits: (row) => {
            logits = row;
          },
        });
    }
  } finally {
    // Also where the loop over the answer is left: a session has what was made, not what was guessed.
    speculation?.end([...prompt.ids, ...ids]);
  }
  const rest = text.flush();
  if (rest !== "") yield { id: ids[ids.length - 1], text: rest };
  return {
    text: text.whole,
    ids,
    promptIds: prompt.ids,
    finishReason,
    ...(options.logProbabilities === undefined ? {} : { logProbabilities }),
    ...(options.promptLogProbabilities ? { promptLogProbabilities: prefill.logProbabilities } : {}),
    ...(options.promptAlternatives === undefined ? {} : { promptAlternatives: prefill.alternatives }),
    ...(speculation ? { speculation: speculation.counts } : {}),
    timings: timings(prefill.cached, prompt.ids.length, answered - started, predicted, now() - answered),
  };
}

/** Brings the prompt into the sequence, keeping what it shares with what is there; gives the last logits. */
async function processPrompt(
  sequence: Sequence,
  contextLength: number,
  ids: readonly number[],
  named: (row: Float32Array) => Float32Array,
  options: GenerateOptions,
): Promise<{
  logits: Float32Array;
  cached: number;
  logProbabilities: number[];
  alternatives: LogProbability[][];
}> {
  if (ids.length === 0) throw new CriaError("bad-input", "the prompt has no tokens; expected at least one");
  if (ids.length >= contextLength)
    throw new CriaError(
      "context-full",
      `the prompt has ${ids.length} tokens and leaves no room in the context of ${contextLength}`,
    );
  const whole = options.promptLogProbabilities === true;
  if (whole) sequence.truncate(0);
  const cached = whole ? 0 : sequence.begin(ids);
  const logProbabilities = [Number.NaN];
  const alternatives: LogProbability[][] = [[]];
  let logits = new Float32Array();
  await sequence.append(ids.slice(cached), whole ? "all" : "last", {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onPromptProgress ? { onProgress: options.onPromptProgress } : {}),
    onLogits: (row, index) => {
      if (index + 1 < ids.length - cached) {
        logProbabilities.push(logProbability(named(row), ids[cached + index + 1]));
        alternatives.push(topLogProbabilities(named(row), options.promptAlternatives ?? 0));
      } else logits = row as Float32Array<ArrayBuffer>;
    },
  });
  return { logits, cached, logProbabilities, alternatives };
}

/** Joins pieces of text, holding back what may still become part of a stop string. */
class AnswerText {
  whole = "";
  stopped = false;
  readonly #decoder;
  readonly #stop: StopMatcher;
  #trimming: boolean;

  constructor(tokenizer: Tokenizer, prompt: PromptText, stop: readonly string[]) {
    this.#decoder = tokenizer.decoder({ continues: prompt.continues });
    this.#stop = new StopMatcher([...stop, ...(prompt.stopStrings ?? [])]);
    this.#trimming = prompt.trimStart ?? false;
  }

  push(id: number): string {
    return this.#take(this.#stop.push(this.#trimmed(this.#decoder.push(id))));
  }

  /** What was held back when no stop string came of it. */
  flush(): string {
    if (this.stopped) return "";
    const last = this.#take(this.#stop.push(this.#trimmed(this.#decoder.flush())));
    const held = this.stopped ? "" : this.#stop.flush();
    this.whole += held;
    return last + held;
  }

  #take({ text, stopped }: { text: string; stopped: boolean }): string {
    this.stopped = stopped;
    this.whole += text;
    return text;
  }

  #trimmed(text: string): string {
    if (!this.#trimming) return text;
    const rest = text.trimStart();
    if (rest !== "") this.#trimming = false;
    return rest;
  }
}

/** The log-probability of the chosen token and of the likeliest ones; nothing where it was not asked for. */
function reportOf(
  logits: Float32Array,
  id: number,
  count: number | undefined,
): { logProbability: number; alternatives: readonly LogProbability[] } | undefined {
  if (count === undefined) return undefined;
  return { logProbability: logProbability(logits, id), alternatives: topLogProbabilities(logits, count) };
}

function timings(
  cached: number,
  promptLength: number,
  promptMs: number,
  predicted: number,
  predictedMs: number,
): Timings {
  const processed = promptLength - cached;
  return {
    cache_n: cached,
    prompt_n: processed,
    prompt_ms: promptMs,
    prompt_per_second: (1000 * processed) / promptMs,
    predicted_n: predicted,
    predicted_ms: predictedMs,
    predicted_per_second: predictedMs > 0 ? (1000 * predicted) / predictedMs : 0,
  };
}

function now(): number {
  return performance.now();
}
