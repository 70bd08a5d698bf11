/**
 * Runs a loaded model: sequences of tokens grow by steps, and logits come back for the tokens that want them.
 *
 * A step is one replay of a recorded plan, and serves all sequences that wait: many conversations decode together, and a
 * long prompt is cut into chunks between them (scheduler.ts). What a sequence computes does not depend, to the bit, on
 * who else is in the step. A sequence keeps what it has processed, and that serves every other sequence which begins
 * alike (model/page-table.ts).
 *
 * Flow: generate.ts, evaluate/ (ids) → Engine → logits → sampler or log-probabilities.
 */
import type { StoredTensor } from "../files/stored-tensor.ts";
import type { AdapterContents } from "../model/adapter.ts";
import { Cache, type ReadCached } from "../model/cache.ts";
import { type CacheFormatOption, type CacheFormats, resolveCacheFormats } from "../model/cache-format.ts";
import type { ModelConfig } from "../model/config.ts";
import { allocateBuffers, type Buffers, firstRows, forward, type Workspace } from "../model/llama.ts";
import type { LlamaWeights } from "../model/load.ts";
import { type LoadedAdapter, loadAdapter } from "../model/load-adapter.ts";
import { LEAST_COPIED, PAGE_LENGTH } from "../model/page-table.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { nextTurn } from "../shared/next-turn.ts";
import { sharedLength } from "../shared/shared-length.ts";
import { Arena } from "../tensor/arena.ts";
import { banksOf, type Device, type Plan } from "../tensor/device.ts";
import { Step, type StepRow } from "../tensor/step.ts";
import { rowView, type Tensor } from "../tensor/tensor.ts";
import { outputCapacity, pagesPerSequence } from "./memory.ts";
import {
  type OutputJob,
  type Outputs,
  outputsOf,
  rowsOfStep,
  type Share,
  withinOutputs,
} from "./scheduler.ts";

export interface EngineOptions {
  /** Positions a sequence can have. */
  readonly contextLength: number;
  /** Sequences that can live side by side. Default 1. */
  readonly sequenceCount?: number;
  /** What keys and values are kept in. Default F16. */
  readonly cacheFormat?: CacheFormatOption;
}

/** Rows of a step while sequences decode: they wait for each other's prompts no longer than this takes. */
const MIXED_ROWS = 32;

export interface AppendOptions {
  readonly signal?: AbortSignal;
  /**
   * Called with the logits after each token that wants them, in order; `index` counts the appended tokens. The array is
   * the callee's own, or `logitsRoom`.
   */
  readonly onLogits?: (logits: Float32Array, index: number) => void;
  /** Room for the last token's logits that may be used again, [vocabulary]: an answer then makes no garbage by the token. */
  readonly logitsRoom?: Float32Array;
  /** The same with what the head multiplies: the last layer's output after its norm, [width]. */
  readonly onHidden?: (hidden: Float32Array, index: number) => void;
  /** Called after each step with the number of appended tokens that are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A text in the making: its tokens, and their keys and values in the cache. */
export interface Sequence {
  /** Tokens processed so far. */
  readonly ids: readonly number[];
  /**
   * Makes the sequence begin as `ids` do, with what is known already: its own tokens, or pages that others computed.
   *
   * @returns how many of `ids` it holds now, at most all but the last; it holds nothing else.
   */
  begin(ids: readonly number[]): number;
  /**
   * Processes more tokens.
   *
   * @throws {CriaError} "context-full" when they do not fit, "bad-input" for ids outside the vocabulary; the sequence
   * is unchanged then. "aborted" leaves the tokens of finished steps in it.
   */
  append(ids: readonly number[], outputs: Outputs, options?: AppendOptions): Promise<void>;
  /** Forgets all but the first `length` tokens, or a few more where others share them: look at `ids` afterwards. */
  truncate(length: number): void;
  /** The adapters that it was processed with, as one text; "" for none. */
  readonly adapters: string;
  readonly cacheFormats: CacheFormats;
  /** What the cache holds of it, to be kept elsewhere (session.ts). */
  tensors(): readonly StoredTensor[];
  /**
   * Holds `ids` from now on, with what `tensors` gave for them.
   *
   * @param verify called when all has been read, before others can find it
   * @throws {CriaError} as `append`, and what `read` and `verify` throw
   */
  restore(ids: readonly number[], read: ReadCached, verify: () => void): Promise<void>;
  dispose(): void;
}

/** Counts since the engine was made, and what is going on. */
export interface EngineStatistics {
  readonly steps: number;
  /** Tokens of prompts that were asked for, and how many of them were known already. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Tokens processed one at a time in a sequence. */
  readonly decodedTokens: number;
  /** Appends that wait for a step or are in one. */
  readonly running: number;
  readonly usedPages: number;
  readonly pageCount: number;
}

/** An append under way. */
interface Append extends OutputJob {
  readonly slot: number;
  /** The sequence's tokens, which grow as steps are done. */
  readonly known: number[];
  readonly options: AppendOptions;
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
}

export class Engine {
  readonly config: ModelConfig;
  readonly contextLength: number;
  /** Sequences that can live side by side. */
  readonly sequenceCapacity: number;
  readonly #device: Device;
  readonly #cacheFormats: CacheFormats;
  readonly #weights: LlamaWeights;
  readonly #cache: Cache;
  /** A step's buffers in each bank of the device. */
  readonly #buffers: readonly Buffers[];
  readonly #step: Step;
  readonly #freeSequences: number[];
  /** By adapters, then by rows. */
  readonly #plans = new Map<string, Map<number, Plan>>();
  /** Where the adapters in use have room for what their first matrices give. */
  readonly #arenas: Arena[] = [];
  /** The adapters in use, and for each bank what their first matrices give. */
  #adapters: { readonly variant: string; readonly list: readonly LoadedAdapter[]; readonly low: Tensor[] } = {
    ...{ variant: "", list: [], low: [] },
  };
  readonly #jobs: Append[] = [];
  readonly #counts = { steps: 0, promptTokens: 0, cachedTokens: 0, decodedTokens: 0 };
  #looping = false;
  /** Sequences in the last step. */
  #lastShares = 0;
  #disposed = false;

  constructor(device: Device, config: ModelConfig, weights: LlamaWeights, options: EngineOptions) {
    const sequenceCount = options.sequenceCount ?? 1;
    const pages = pagesPerSequence(options);
    const outputs = outputCapacity(device);
    this.config = config;
    this.contextLength = options.contextLength;
    this.sequenceCapacity = sequenceCount;
    this.#device = device;
    this.#weights = weights;
    this.#cacheFormats = resolveCacheFormats(config, options.cacheFormat);
    this.#cache = new Cache(device, config, pages * sequenceCount, this.#cacheFormats, weights.placement);
    this.#buffers = banksOf(device).map((bank) => allocateBuffers(bank, config, device.prefillRows, outputs));
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
    // Under which adapters the ids were processed.
    let { variant } = this.#adapters;
    // A slot that is given back twice would serve two sequences.
    let disposed = false;
    const active = (): string => this.#adapters.variant;
    // Whether the next tokens are a prompt's, which `begin` has counted.
    let begun = false;
    const truncate = (length: number): void => {
      ids.length = Math.min(ids.length, length);
      ids.length = this.#cache.pages.release(slot, ids.length);
    };
    return {
      ids,
      begin: (wanted) => {
        this.#assertUsable();
        // The last token is always processed: its logits are not kept.
        const most = Math.max(0, wanted.length - 1);
        if (variant !== this.#adapters.variant) truncate(0);
        variant = this.#adapters.variant;
        const own = Math.min(sharedLength(ids, wanted), most);
        const prompt = wanted.slice(0, most);
        const found = this.#cache.pages.knownLength(prompt);
        // What others have of the page that this sequence is in must be worth a copy.
        const page = own - (own % PAGE_LENGTH);
        // A page that others can find is copied rather than cut: all that follows it would be lost with it.
        const spared = own > page && this.#cache.pages.isKnown(slot, own);
        const better =
          found >= page + PAGE_LENGTH || found >= own + LEAST_COPIED || (spared && found >= page);
        truncate(better ? page : own);
        if (better) {
          const length = this.#cache.adopt(this.#step, slot, prompt, ids.length);
          // One by one: a call takes fewer arguments than a long context has tokens.
          while (ids.length < length) ids.push(wanted[ids.length]);
        }
        begun = true;
        this.#counts.promptTokens += wanted.length;
        this.#counts.cachedTokens += ids.length;
        return ids.length;
      },
      append: (more, outputs, options) => {
        if (ids.length === 0) variant = active();
        const isPrompt = begun || ids.length === 0;
        if (isPrompt && !begun) this.#counts.promptTokens += more.length;
        if (!isPrompt && more.length === 1) this.#counts.decodedTokens++;
        begun = false;
        return this.#append(slot, ids, more, outputs, options);
      },
      truncate,
      get adapters() {
        return ids.length > 0 ? variant : active();
      },
      cacheFormats: this.#cacheFormats,
      tensors: () => this.#cache.tensors(slot, ids.length),
      restore: async (kept, read, verify) => {
        this.#assertUsable();
        truncate(0);
        this.#check(0, kept);
        variant = active();
        this.#cache.reserve(this.#step, slot, kept.length);
        await this.#cache.fill(slot, kept.length, read);
        this.#assertUsable();
        verify();
        for (const id of kept) ids.push(id);
        this.#cache.pages.publish(slot, ids, 0);
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        truncate(0);
        this.#freeSequences.push(slot);
      },
    };
  }

  /**
   * Answers with these adapters from now on; with none, as the base alone. Waits until no step is under way: what is
   * being answered then goes on with other keys and values than it began with, so callers end it first.
   */
  async useAdapters(adapters: readonly LoadedAdapter[]): Promise<void> {
    while (this.#jobs.length > 0) await nextTurn();
    this.#assertUsable();
    const variant = adapters.map(({ fingerprint, scale }) => `${fingerprint}*${scale}`).join("+");
    const rows = this.#device.prefillRows;
    const rank = Math.max(0, ...adapters.map((adapter) => adapter.rank));
    const arenas: Arena[] = [];
    try {
      // What can fail comes first: until then the adapters before stay in use.
      if (rank > 0)
        for (const bank of banksOf(this.#device)) arenas.push(new Arena(bank, Arena.bytesOf(rows, rank)));
    } catch (error) {
      for (const arena of arenas) arena.dispose();
      throw error;
    }
    this.#cache.pages.useVariant(variant);
    this.#dropAdapterPlans();
    this.#arenas.push(...arenas);
    this.#adapters = { variant, list: adapters, low: arenas.map((arena) => arena.allocate(rows, rank)) };
  }

  /** The base's plans stay. Others hold on to addresses, which are wrong once an adapter is loaded anew. */
  #dropAdapterPlans(): void {
    for (const [variant, plans] of this.#plans) {
      if (variant === "") continue;
      for (const plan of plans.values()) this.#device.freePlan(plan);
      this.#plans.delete(variant);
    }
    for (const arena of this.#arenas.splice(0)) arena.dispose();
  }

  get statistics(): EngineStatistics {
    const { usedPages, pageCount } = this.#cache.pages;
    return { ...this.#counts, running: this.#jobs.length, usedPages, pageCount };
  }

  /** Puts an adapter beside the weights; `useAdapters` then answers with it. */
  loadAdapter(adapter: AdapterContents, scale = 1): Promise<LoadedAdapter> {
    this.#assertUsable();
    return loadAdapter(this.#device, this.#weights.placement, adapter, scale);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const job of this.#jobs.splice(0)) job.fail(new CriaError("disposed", "the model was disposed"));
    this.#cache.dispose();
    for (const { x } of this.#buffers) this.#device.free(x.memory);
    for (const arena of this.#arenas) arena.dispose();
    this.#step.dispose();
    this.#weights.dispose();
    this.#device.dispose();
  }

  #assertUsable(): void {
    if (this.#disposed) throw new CriaError("disposed", "the model was disposed");
  }

  async #append(
    slot: number,
    ids: number[],
    more: readonly number[],
    outputs: Outputs,
    options: AppendOptions = {},
  ): Promise<void> {
    this.#assertUsable();
    throwIfAborted(options.signal);
    this.#check(ids.length, more);
    if (more.length === 0) return;
    this.#cache.reserve(this.#step, slot, ids.length + more.length);
    const rowLimit = outputs === "all" ? outputCapacity(this.#device) : this.#device.prefillRows;
    return new Promise((finish, fail) => {
      this.#jobs.push({ slot, known: ids, ids: more, done: 0, rowLimit, outputs, options, finish, fail });
      if (!this.#looping) void this.#loop();
    });
  }

  /** Steps as long as something waits. */
  async #loop(): Promise<void> {
    this.#looping = true;
    try {
      while (this.#jobs.length > 0) {
        // Others that were in the last step get the time to ask for their next token, so that they stay together.
        if (this.sequenceCapacity > 1 && this.#lastShares > 1) await nextTurn();
        this.#dropAborted();
        const shares = rowsOfStep(
          this.#jobs,
          this.#device.prefillRows,
          MIXED_ROWS,
          outputCapacity(this.#device),
        );
        this.#lastShares = shares.length;
        if (shares.length > 0) await this.#runStep(withinOutputs(shares, outputCapacity(this.#device)));
      }
    } catch (error) {
      // The device failed: nobody who waits will be served.
      for (const job of this.#jobs.splice(0)) job.fail(error);
    } finally {
      this.#looping = false;
    }
  }

  #dropAborted(): void {
    for (const job of [...this.#jobs]) {
      if (!job.options.signal?.aborted) continue;
      const { reason } = job.options.signal;
      this.#end(job, () =>
        job.fail(new CriaError("aborted", "the operation was aborted", { cause: reason })),
      );
    }
  }

  #end(job: Append, settle: () => void): void {
    const index = this.#jobs.indexOf(job);
    if (index >= 0) this.#jobs.splice(index, 1);
    settle();
  }

  async #runStep(shares: readonly Share<Append>[]): Promise<void> {
    const rows = shares.flatMap(({ job, count }) =>
      job.ids.slice(job.done, job.done + count).map((token, index): StepRow => {
        const last = job.done + index === job.ids.length - 1;
        const output = job.outputs === "all" || (job.outputs === "last" && last);
        return { token, position: job.known.length + index, sequence: job.slot, output };
      }),
    );
    const wantsHidden = shares.some(({ job }) => job.options.onHidden !== undefined);
    const rooms = shares.flatMap((share) => {
      const { outputs, options } = share.job;
      const room = outputs === "last" ? options.logitsRoom : undefined;
      return new Array<Float32Array | undefined>(outputsOf(share)).fill(room);
    });
    const { logits, hidden } = await this.#run(rows, rooms, wantsHidden);
    this.#counts.steps++;
    let at = 0;
    for (const share of shares) {
      const { job, count } = share;
      const wanted = outputsOf(share);
      const before = job.known.length;
      job.known.push(...job.ids.slice(job.done, job.done + count));
      this.#cache.pages.publish(job.slot, job.known, before);
      const first = job.done + count - wanted;
      job.done += count;
      try {
        for (let index = 0; index < wanted; index++) {
          job.options.onLogits?.(logits[at + index], first + index);
          job.options.onHidden?.(hidden[at + index], first + index);
        }
        job.options.onProgress?.(job.done, job.ids.length);
        if (job.done === job.ids.length) this.#end(job, job.finish);
      } catch (error) {
        this.#end(job, () => job.fail(error));
      }
      at += wanted;
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

  /** One step: what came of the rows that want it, [vocabulary] and [width] each; nothing hidden unless asked for. */
  async #run(
    rows: readonly StepRow[],
    rooms: readonly (Float32Array | undefined)[],
    wantsHidden: boolean,
  ): Promise<{ readonly logits: Float32Array[]; readonly hidden: Float32Array[] }> {
    const capacity = capacityFor(rows.length, this.#device.prefillRows);
    this.#step.setRows(rows);
    this.#device.replay(this.#planFor(capacity));
    const count = rows.filter((row) => row.output).length;
    const { logits, outputs } = this.#buffers[this.#weights.placement.head];
    const read = await this.#readInto(logits, rooms, count);
    return { logits: read, hidden: wantsHidden ? await this.#read(outputs, count) : [] };
  }

  /** The first rows of a buffer, each in its room where all have one. */
  async #readInto(
    buffer: Tensor,
    rooms: readonly (Float32Array | undefined)[],
    count: number,
  ): Promise<Float32Array[]> {
    const { memory, byteOffset, stride, columns } = buffer;
    // A step without outputs is waited for too: otherwise all of a prompt would be queued at once, and no abort be seen.
    if (count === 0 || !rooms.every((room) => room?.length === columns)) return this.#read(buffer, count);
    const rows: Float32Array[] = [];
    for (const [index, room = new Float32Array(columns)] of rooms.entries()) {
      const into = new Uint8Array(room.buffer, room.byteOffset, room.byteLength);
      const bytes = await this.#device.read(memory, byteOffset + index * stride, 4 * columns, into);
      rows.push(new Float32Array(bytes.buffer, bytes.byteOffset, columns));
    }
    return rows;
  }

  /** The first rows of a buffer. */
  async #read({ memory, byteOffset, stride, columns }: Tensor, count: number): Promise<Float32Array[]> {
    const bytes = await this.#device.read(memory, byteOffset, count * stride);
    return Array.from({ length: count }, (_, index) => {
      return new Float32Array(bytes.buffer, bytes.byteOffset + index * stride, columns);
    });
  }

  #planFor(tokens: number): Plan {
    const { variant, list: adapters, low } = this.#adapters;
    const plans = this.#plans.get(variant) ?? new Map<number, Plan>();
    this.#plans.set(variant, plans);
    const known = plans.get(tokens);
    if (known) return known;
    const outputs = Math.min(tokens, outputCapacity(this.#device));
    const workspaces = this.#buffers.map(
      (buffers, bank): Workspace => ({
        step: this.#step.banks[bank],
        buffers: firstRows(buffers, tokens, outputs),
        ...(low[bank] ? { low: rowView(low[bank], 0, tokens) } : {}),
      }),
    );
    const pass = {
      device: this.#device,
      config: this.config,
      weights: this.#weights,
      cache: this.#cache,
      workspaces,
      adapters,
    };
    const plan = this.#device.record(() => forward(pass));
    plans.set(tokens, plan);
    return plan;
  }
}

/** Rows of the smallest plan that holds as many: 1, 2, 4, 8 … */
function capacityFor(rows: number, most: number): number {
  let capacity = 1;
  while (capacity < rows) capacity *= 2;
  return Math.min(capacity, most);
}
