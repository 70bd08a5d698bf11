/**
 * Runs a loaded model: sequences of tokens grow by steps, and logits come back for the tokens that want them.
 *
 * A step is one replay of a recorded plan. There are two plans, for one token and for a chunk of a prompt; long prompts
 * are cut into chunks. A sequence keeps what it has processed, so a prompt that starts as the last one did costs only
 * its new part.
 *
 * Flow: generate.ts, evaluate/ (ids) → Engine → logits → sampler or log-probabilities.
 */
import { Cache, PAGE_LENGTH } from "../model/cache.ts";
import type { ModelConfig } from "../model/config.ts";
import { allocateBuffers, type Buffers, bufferBytes, firstRows, forward } from "../model/llama.ts";
import type { LlamaWeights } from "../model/load.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { Arena } from "../tensor/arena.ts";
import type { Device, Plan } from "../tensor/device.ts";
import { Step, type StepRow } from "../tensor/step.ts";

/** Rows of logits that one step can give: a row of a 128k vocabulary takes half a megabyte. */
const OUTPUT_CAPACITY = 64;

export interface EngineOptions {
  /** Positions a sequence can have. */
  readonly contextLength: number;
  /** Sequences that can live side by side. Default 1. */
  readonly sequenceCount?: number;
}

/** Which tokens of an append want logits. */
export type Outputs = "none" | "last" | "all";

export interface AppendOptions {
  readonly signal?: AbortSignal;
  /**
   * Called with the logits after each token that wants them, in order; `index` counts the appended tokens. The array is
   * the callee's own.
   */
  readonly onLogits?: (logits: Float32Array, index: number) => void;
  /** Called after each step with the number of appended tokens that are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A text in the making: its tokens, and their keys and values in the cache. */
export interface Sequence {
  /** Tokens processed so far. */
  readonly ids: readonly number[];
  /**
   * Processes more tokens.
   *
   * @throws {CriaError} "context-full" when they do not fit, "bad-input" for ids outside the vocabulary; the sequence
   * is unchanged then. "aborted" leaves the tokens of finished steps in it.
   */
  append(ids: readonly number[], outputs: Outputs, options?: AppendOptions): Promise<void>;
  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void;
  dispose(): void;
}

/** What the engine holds besides the weights, in bytes. */
export function engineBytes(device: Device, config: ModelConfig, options: EngineOptions): number {
  const cells = pagesPerSequence(options) * (options.sequenceCount ?? 1) * PAGE_LENGTH;
  return Cache.bytesOf(config, cells) + bufferBytes(config, device.prefillRows, outputCapacity(device));
}

export class Engine {
  readonly config: ModelConfig;
  readonly contextLength: number;
  readonly #device: Device;
  readonly #weights: LlamaWeights;
  readonly #cache: Cache;
  readonly #arena: Arena;
  readonly #buffers: Buffers;
  readonly #step: Step;
  readonly #freeSequences: number[];
  readonly #plans = new Map<number, Plan>();
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(device: Device, config: ModelConfig, weights: LlamaWeights, options: EngineOptions) {
    const sequenceCount = options.sequenceCount ?? 1;
    const pages = pagesPerSequence(options);
    const outputs = outputCapacity(device);
    this.config = config;
    this.contextLength = options.contextLength;
    this.#device = device;
    this.#weights = weights;
    this.#cache = new Cache(device, config, pages * sequenceCount);
    this.#arena = new Arena(device, bufferBytes(config, device.prefillRows, outputs));
    this.#buffers = allocateBuffers(this.#arena, config, device.prefillRows, outputs);
    this.#step = new Step(device, {
      rowCapacity: device.prefillRows,
      sequenceCapacity: sequenceCount,
      pageLength: PAGE_LENGTH,
      pagesPerSequence: pages,
    });
    this.#freeSequences = Array.from({ length: sequenceCount }, (_, index) => sequenceCount - 1 - index);
  }

  /** @throws {CriaError} code "context-full" when all sequences are in use. */
  createSequence(): Sequence {
    const slot = this.#freeSequences.pop();
    if (slot === undefined) throw new CriaError("context-full", "all sequences of the engine are in use");
    const ids: number[] = [];
    return {
      ids,
      append: (more, outputs, options) =>
        this.#exclusively(() => this.#append(slot, ids, more, outputs, options)),
      truncate: (length) => {
        ids.length = Math.min(ids.length, length);
        this.#cache.release(slot, ids.length);
      },
      dispose: () => {
        ids.length = 0;
        this.#cache.release(slot);
        this.#freeSequences.push(slot);
      },
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cache.dispose();
    this.#arena.dispose();
    this.#step.dispose();
    this.#weights.dispose();
    this.#device.dispose();
  }

  /** Steps share one set of buffers: callers take turns. */
  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #append(
    slot: number,
    ids: number[],
    more: readonly number[],
    outputs: Outputs,
    options: AppendOptions = {},
  ): Promise<void> {
    if (this.#disposed) throw new CriaError("disposed", "the model was disposed");
    this.#check(ids.length, more);
    this.#cache.reserve(this.#step, slot, ids.length + more.length);
    for (let first = 0; first < more.length; ) {
      throwIfAborted(options.signal);
      const limit = outputs === "all" ? outputCapacity(this.#device) : this.#device.prefillRows;
      const count = Math.min(limit, more.length - first);
      const rows = more.slice(first, first + count).map((token, index) => {
        const last = first + index === more.length - 1;
        return {
          token,
          position: ids.length + index,
          sequence: slot,
          output: outputs === "all" || (outputs === "last" && last),
        };
      });
      const logits = await this.#run(rows);
      ids.push(...more.slice(first, first + count));
      const outputFirst = first + count - logits.length;
      logits.forEach((row, index) => {
        options.onLogits?.(row, outputFirst + index);
      });
      first += count;
      options.onProgress?.(first, more.length);
    }
  }

  #check(length: number, more: readonly number[]): void {
    if (length + more.length > this.contextLength)
      throw new CriaError(
        "context-full",
        `${length + more.length} tokens do not fit the context of ${this.contextLength}`,
      );
    for (const id of more)
      if (!Number.isInteger(id) || id < 0 || id >= this.config.vocabularySize)
        throw new CriaError(
          "bad-input",
          `token id ${id} is outside the vocabulary of ${this.config.vocabularySize}`,
        );
  }

  /** One step: the logits of the rows that want them, [vocabulary] each. */
  async #run(rows: readonly StepRow[]): Promise<Float32Array[]> {
    const capacity = rows.length === 1 ? 1 : this.#device.prefillRows;
    this.#step.setRows(rows);
    this.#device.replay(this.#planFor(capacity));
    const { logits } = this.#buffers;
    const outputCount = rows.filter((row) => row.output).length;
    const bytes = await this.#device.read(logits.memory, logits.byteOffset, outputCount * logits.stride);
    return Array.from({ length: outputCount }, (_, index) => {
      return new Float32Array(bytes.buffer, bytes.byteOffset + index * logits.stride, logits.columns);
    });
  }

  #planFor(tokens: number): Plan {
    const known = this.#plans.get(tokens);
    if (known) return known;
    const pass = {
      device: this.#device,
      config: this.config,
      weights: this.#weights,
      cache: this.#cache,
      step: this.#step,
      buffers: firstRows(this.#buffers, tokens, Math.min(tokens, outputCapacity(this.#device))),
    };
    const plan = this.#device.record(() => forward(pass));
    this.#plans.set(tokens, plan);
    return plan;
  }
}

function pagesPerSequence({ contextLength }: EngineOptions): number {
  return Math.ceil(contextLength / PAGE_LENGTH);
}

function outputCapacity(device: Device): number {
  return Math.min(device.prefillRows, OUTPUT_CAPACITY);
}
