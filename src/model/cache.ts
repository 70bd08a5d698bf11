/**
 * The keys and values of the tokens seen so far, in pages that sequences take as they grow and give back.
 *
 * Flow: generate/engine.ts (which sequence grows) → Cache (pages) → Step.pages → store, attention.
 */
import { CriaError } from "../shared/errors.ts";
import type { Device } from "../tensor/device.ts";
import type { Step } from "../tensor/step.ts";
import { denseTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
import type { ModelConfig } from "./config.ts";

/** Positions in a page: small enough that sequences waste little, long enough to be read as a stream. */
export const PAGE_LENGTH = 64;

/** One layer's part. */
export interface LayerCache {
  /** [cells, key/value heads · headLength] F16 */
  readonly keys: Tensor;
  /** [cells, key/value heads · headLength] F16 */
  readonly values: Tensor;
}

export class Cache {
  readonly layers: readonly LayerCache[];
  readonly #device: Device;
  readonly #memories: readonly Memory[];
  readonly #freePages: number[];
  readonly #pagesOf = new Map<number, number[]>();

  /** Room for `pageCount` · PAGE_LENGTH tokens, of all sequences together. */
  constructor(device: Device, config: ModelConfig, pageCount: number) {
    const cells = pageCount * PAGE_LENGTH;
    const columns = config.kvHeadCount * config.headLength;
    // One memory a layer: a whole cache of a large model may pass what one memory can hold.
    const layerBytes = Cache.bytesOf(config, cells) / config.layerCount;
    this.#device = device;
    this.#freePages = Array.from({ length: pageCount }, (_, index) => pageCount - 1 - index);
    this.#memories = Array.from({ length: config.layerCount }, () => device.allocate(layerBytes));
    this.layers = this.#memories.map((memory) => ({
      keys: denseTensor(memory, 0, cells, columns, "F16"),
      values: denseTensor(memory, layerBytes / 2, cells, columns, "F16"),
    }));
  }

  /** Bytes that `tokens` tokens take: two F16 rows in every layer. */
  static bytesOf(config: ModelConfig, tokens: number): number {
    return 2 * 2 * config.layerCount * config.kvHeadCount * config.headLength * tokens;
  }

  /**
   * Gives a sequence room for `length` tokens and tells the step where it is. What it held before stays.
   *
   * @throws {CriaError} code "context-full" when all pages are taken.
   */
  reserve(step: Step, sequence: number, length: number): void {
    const pages = this.#pagesOf.get(sequence) ?? [];
    const wanted = Math.ceil(length / PAGE_LENGTH);
    if (pages.length >= wanted) return;
    if (wanted - pages.length > this.#freePages.length)
      throw new CriaError(
        "context-full",
        `the cache has ${this.#freePages.length * PAGE_LENGTH} free positions; a sequence asks for ${length}`,
      );
    while (pages.length < wanted) pages.push(this.#freePages.pop() as number);
    this.#pagesOf.set(sequence, pages);
    step.setPages(sequence, pages);
  }

  /** Gives back what a sequence holds beyond its first `length` tokens. */
  release(sequence: number, length = 0): void {
    const pages = this.#pagesOf.get(sequence);
    if (pages) this.#freePages.push(...pages.splice(Math.ceil(length / PAGE_LENGTH)).reverse());
  }

  dispose(): void {
    for (const memory of this.#memories) this.#device.free(memory);
  }
}
