/**
 * What changes from step to step, in one block of memory that the kernels read: which tokens, at which positions, of
 * which sequences. A replayed plan therefore never holds a stale value.
 *
 * Rows of one step may belong to different sequences (batching) and several steps make one prompt (chunks). The cache
 * is cut into pages of `pageLength` positions; `pages` says for each sequence where its pages lie, so sequences can
 * share the pages of a common prefix:
 *
 *   page = pages[sequence, ⌊position / pageLength⌋]
 *   cell of (sequence, position, head) = (page · heads + head) · pageLength + position mod pageLength
 *
 * so that one head's keys of a page lie together: attention reads them as one stream.
 *
 * Flow: generate/engine.ts writes it before each replay → embed, rope, store, attention, copy read it.
 */
import type { Device } from "./device.ts";
import { denseTensor, type Memory, rowView, type Tensor } from "./tensor.ts";

/** Sizes that are fixed when plans are recorded. */
export interface StepShape {
  /** Rows (tokens) of the largest step. */
  readonly rowCapacity: number;
  readonly sequenceCapacity: number;
  /** Positions in a page of the cache. */
  readonly pageLength: number;
  /** Pages that the longest sequence needs. */
  readonly pagesPerSequence: number;
}

/** One token to process. */
export interface StepRow {
  readonly token: number;
  readonly position: number;
  readonly sequence: number;
  /** Whether logits are wanted after this token. */
  readonly output: boolean;
}

/** Words before the lists: row count, output count, two unused. */
const HEADER_WORDS = 4;

export class Step {
  readonly shape: StepShape;
  /** [1, 1] I32: how many rows of a [tokens, …] tensor are in use. */
  readonly rowCount: Tensor;
  /** [1, 1] I32: how many rows of an [outputs, …] tensor are in use. */
  readonly outputCount: Tensor;
  /** [1, rowCapacity] I32 each. */
  readonly tokens: Tensor;
  readonly positions: Tensor;
  readonly sequences: Tensor;
  /** [1, rowCapacity] I32: which rows want logits, ascending. */
  readonly outputRows: Tensor;
  /** [sequenceCapacity, pagesPerSequence] I32: page of the cache. */
  readonly pages: Tensor;
  readonly #device: Device;
  readonly #memory: Memory;
  readonly #words: Int32Array;

  constructor(device: Device, shape: StepShape) {
    const { rowCapacity, sequenceCapacity, pagesPerSequence } = shape;
    this.shape = shape;
    this.#device = device;
    this.#words = new Int32Array(HEADER_WORDS + 4 * rowCapacity + sequenceCapacity * pagesPerSequence);
    this.#memory = device.allocate(this.#words.byteLength);
    const list = (word: number, columns: number) => denseTensor(this.#memory, 4 * word, 1, columns, "I32");
    this.rowCount = list(0, 1);
    this.outputCount = list(1, 1);
    this.tokens = list(HEADER_WORDS, rowCapacity);
    this.positions = list(HEADER_WORDS + rowCapacity, rowCapacity);
    this.sequences = list(HEADER_WORDS + 2 * rowCapacity, rowCapacity);
    this.outputRows = list(HEADER_WORDS + 3 * rowCapacity, rowCapacity);
    const pagesWord = HEADER_WORDS + 4 * rowCapacity;
    this.pages = denseTensor(this.#memory, 4 * pagesWord, sequenceCapacity, pagesPerSequence, "I32");
  }

  /** Tells the device which pages of the cache a sequence uses, in order of position. */
  setPages(sequence: number, pages: readonly number[]): void {
    const { byteOffset } = rowView(this.pages, sequence, 1);
    this.#words.set(pages, byteOffset / 4);
    this.#device.write(this.#memory, bytesOf(Int32Array.from(pages)), byteOffset);
  }

  /** Sets the rows of the next replay. Rows of one sequence come in order of position. */
  setRows(rows: readonly StepRow[]): void {
    const { rowCapacity } = this.shape;
    const words = this.#words;
    let outputCount = 0;
    rows.forEach((row, index) => {
      words[HEADER_WORDS + index] = row.token;
      words[HEADER_WORDS + rowCapacity + index] = row.position;
      words[HEADER_WORDS + 2 * rowCapacity + index] = row.sequence;
      if (row.output) words[HEADER_WORDS + 3 * rowCapacity + outputCount++] = index;
    });
    words[0] = rows.length;
    words[1] = outputCount;
    this.#device.write(this.#memory, bytesOf(words.subarray(0, HEADER_WORDS + 4 * rowCapacity)), 0);
  }

  dispose(): void {
    this.#device.free(this.#memory);
  }
}

function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
