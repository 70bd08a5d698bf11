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
import { type Bank, banksOf, type Device } from "./device.ts";
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

/** A step's words in one bank. */
export interface StepTensors {
  readonly memory: Memory;
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
}

export class Step {
  readonly shape: StepShape;
  /** The same words in every bank of the device. */
  readonly banks: readonly StepTensors[];
  readonly #device: Device;
  readonly #words: Int32Array;

  constructor(device: Device, shape: StepShape) {
    this.shape = shape;
    this.#device = device;
    this.#words = new Int32Array(HEADER_WORDS + 4 * shape.rowCapacity);
    this.banks = banksOf(device).map((bank) => stepTensors(bank, shape));
  }

  /** Tells the device which pages of the cache a sequence uses, in order of position. */
  setPages(sequence: number, pages: readonly number[]): void {
    const { byteOffset } = rowView(this.banks[0].pages, sequence, 1);
    this.#write(Int32Array.from(pages), byteOffset);
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
    this.#write(words, 0);
  }

  dispose(): void {
    for (const { memory } of this.banks) this.#device.free(memory);
  }

  #write(words: Int32Array, byteOffset: number): void {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    for (const { memory } of this.banks) this.#device.write(memory, bytes, byteOffset);
  }
}

function stepTensors(bank: Bank, shape: StepShape): StepTensors {
  const { rowCapacity, sequenceCapacity, pagesPerSequence } = shape;
  const pagesWord = HEADER_WORDS + 4 * rowCapacity;
  const memory = bank.allocate(4 * (pagesWord + sequenceCapacity * pagesPerSequence));
  const list = (word: number, columns: number) => denseTensor(memory, 4 * word, 1, columns, "I32");
  return {
    memory,
    rowCount: list(0, 1),
    outputCount: list(1, 1),
    tokens: list(HEADER_WORDS, rowCapacity),
    positions: list(HEADER_WORDS + rowCapacity, rowCapacity),
    sequences: list(HEADER_WORDS + 2 * rowCapacity, rowCapacity),
    outputRows: list(HEADER_WORDS + 3 * rowCapacity, rowCapacity),
    pages: denseTensor(memory, 4 * pagesWord, sequenceCapacity, pagesPerSequence, "I32"),
  };
}
