/**
 * The keys and values of the tokens seen so far, in pages of a memory for each layer. Which page holds what is in
 * page-table.ts.
 *
 * Flow: generate/engine.ts → Cache (keys and values of a layer) → store, attention; pages → Step.setPages.
 */
import type { StoredTensor } from "../files/stored-tensor.ts";
import { banksOf, type Device } from "../tensor/device.ts";
import type { Step } from "../tensor/step.ts";
import { denseTensor, type Memory, rowView, type Tensor } from "../tensor/tensor.ts";
import { type CacheFormats, layerBytes } from "./cache-format.ts";
import type { ModelConfig } from "./config.ts";
import { PAGE_LENGTH, PageTable } from "./page-table.ts";
import { type Placement, singlePlacement } from "./placement.ts";

/** One layer's part. */
export interface LayerCache {
  /** [cells, headLength] in the cache's format; cells: tensor/step.ts */
  readonly keys: Tensor;
  /** [cells, headLength] */
  readonly values: Tensor;
}

/** Reads bytes of a tensor of a session: [byteOffset, byteOffset + byteLength) of its `wholeLength`. */
export type ReadCached = (
  name: string,
  byteLength: number,
  byteOffset: number,
  wholeLength: number,
) => Promise<Uint8Array>;

/** Rows of a sequence that lie in one page. */
interface Run {
  readonly row: number;
  readonly page: number;
  /** The first of them. */
  readonly inPage: number;
  readonly count: number;
}

export class Cache {
  readonly layers: readonly LayerCache[];
  readonly pages: PageTable;
  readonly #device: Device;
  readonly #kvHeads: number;
  readonly #memories: readonly Memory[];
  /** A 0 and a 1 in each layer's memory: which row, and how many, where a page is copied. */
  readonly #constants: readonly (readonly [rows: Tensor, count: Tensor])[];

  /** Room for `pageCount` · PAGE_LENGTH tokens, of all sequences together; each layer's in the bank of its weights. */
  constructor(
    device: Device,
    config: ModelConfig,
    pageCount: number,
    formats: CacheFormats,
    placement: Placement = singlePlacement(config.layerCount),
  ) {
    const tokens = pageCount * PAGE_LENGTH;
    const cells = tokens * config.kvHeadCount;
    // One memory a layer: a whole cache of a large model may pass what one memory can hold.
    const keyBytes = layerBytes(config, formats.keys, tokens);
    const bytes = keyBytes + layerBytes(config, formats.values, tokens);
    this.pages = new PageTable(pageCount);
    this.#device = device;
    this.#kvHeads = config.kvHeadCount;
    this.#memories = placement.layers.map((bank) => banksOf(device)[bank].allocate(bytes + 8));
    this.#constants = this.#memories.map((memory) => {
      device.write(memory, new Uint8Array(Int32Array.of(0, 1).buffer), bytes);
      return [denseTensor(memory, bytes, 1, 1, "I32"), denseTensor(memory, bytes + 4, 1, 1, "I32")];
    });
    this.layers = this.#memories.map((memory) => ({
      keys: denseTensor(memory, 0, cells, config.headLength, formats.keys),
      values: denseTensor(memory, keyBytes, cells, config.headLength, formats.values),
    }));
  }

  /** Bytes that `tokens` tokens take in all layers. */
  static bytesOf(config: ModelConfig, tokens: number, { keys, values }: CacheFormats): number {
    return config.layerCount * (layerBytes(config, keys, tokens) + layerBytes(config, values, tokens));
  }

  /**
   * Gives a sequence room for `length` tokens and tells the step where it is. What it held before stays.
   *
   * @throws {CriaError} code "context-full" when sequences hold all pages.
   */
  reserve(step: Step, sequence: number, length: number): void {
    if (this.pages.reserve(sequence, length)) step.setPages(sequence, this.pages.pagesOf(sequence));
  }

  /**
   * Lets a sequence begin with the pages of `ids` that are known, after those that it holds already, and with a copy of
   * one that begins as the rest does.
   *
   * @param held tokens that the sequence keeps, a multiple of PAGE_LENGTH.
   * @returns how many tokens it begins with now.
   */
  adopt(step: Step, sequence: number, ids: readonly number[], held: number): number {
    const adopted = this.pages.adopt(sequence, ids, held);
    const { length, copyOf } = this.pages.beginAlike(sequence, ids, adopted);
    const pages = this.pages.pagesOf(sequence);
    if (length > held) step.setPages(sequence, pages);
    if (copyOf === undefined) return length;
    this.layers.forEach((layer, index) => {
      for (const tensor of [layer.keys, layer.values])
        this.#copyPage(tensor, copyOf, pages[pages.length - 1], index);
    });
    return length;
  }

  /** Copies a page's cells of one tensor, whatever their format, as words. */
  #copyPage(tensor: Tensor, from: number, to: number, layer: number): void {
    const columns = (PAGE_LENGTH * this.#kvHeads * tensor.stride) / 4;
    const pages = denseTensor(tensor.memory, tensor.byteOffset, this.pages.pageCount, columns, "F32");
    const [rows, count] = this.#constants[layer];
    this.#device.run("copy", { x: rowView(pages, from, 1), rows, y: rowView(pages, to, 1), count });
  }

  /** What a sequence holds of its first `length` tokens: `layers.<n>.keys` and `layers.<n>.values`, [length, columns]. */
  tensors(sequence: number, length: number): StoredTensor[] {
    return this.#named().map(({ name, tensor }) => ({
      name,
      format: tensor.format,
      rows: length,
      columns: this.#kvHeads * tensor.columns,
      readRows: async (rowFirst, rowCount) => {
        const bytes = new Uint8Array(rowCount * this.#kvHeads * tensor.stride);
        for (const run of this.#runs(sequence, rowFirst, rowCount)) {
          const pageBytes = PAGE_LENGTH * this.#kvHeads * tensor.stride;
          const page = await this.#device.read(
            tensor.memory,
            tensor.byteOffset + run.page * pageBytes,
            pageBytes,
          );
          for (const { inRows, inPage } of this.#headsOf(run, tensor.stride))
            bytes.set(page.subarray(inPage, inPage + tensor.stride), inRows);
        }
        return bytes;
      },
    }));
  }

  /** Fills the `length` tokens that a sequence has room for with what `tensors` gave. */
  async fill(sequence: number, length: number, read: ReadCached): Promise<void> {
    for (const { name, tensor } of this.#named())
      for (const run of this.#runs(sequence, 0, length)) {
        const rowBytes = this.#kvHeads * tensor.stride;
        const rows = await read(name, run.count * rowBytes, run.row * rowBytes, length * rowBytes);
        // What comes after the last row of a page is not seen before it is written.
        const page = new Uint8Array(PAGE_LENGTH * rowBytes);
        const first = run.row * rowBytes;
        for (const { inRows, inPage } of this.#headsOf(run, tensor.stride))
          page.set(rows.subarray(inRows - first, inRows - first + tensor.stride), inPage);
        this.#device.write(tensor.memory, page, tensor.byteOffset + run.page * page.length);
      }
  }

  /** Where each head of each row of a run lies in bytes: in rows of all heads, and in the page, head by head. */
  *#headsOf({ row, inPage, count }: Run, stride: number): Generator<{ inRows: number; inPage: number }> {
    for (let index = 0; index < count; index++)
      for (let head = 0; head < this.#kvHeads; head++)
        yield {
          inRows: ((row + index) * this.#kvHeads + head) * stride,
          inPage: (head * PAGE_LENGTH + inPage + index) * stride,
        };
  }

  #named(): { readonly name: string; readonly tensor: Tensor }[] {
    return this.layers.flatMap(({ keys, values }, layer) => [
      { name: `layers.${layer}.keys`, tensor: keys },
      { name: `layers.${layer}.values`, tensor: values },
    ]);
  }

  /** A sequence's rows [rowFirst, rowFirst + rowCount) page by page; `row` counts from `rowFirst`. */
  *#runs(sequence: number, rowFirst: number, rowCount: number): Generator<Run> {
    const pages = this.pages.pagesOf(sequence);
    for (let row = rowFirst; row < rowFirst + rowCount; ) {
      const inPage = row % PAGE_LENGTH;
      const count = Math.min(PAGE_LENGTH - inPage, rowFirst + rowCount - row);
      yield { row: row - rowFirst, page: pages[Math.floor(row / PAGE_LENGTH)], inPage, count };
      row += count;
    }
  }

  dispose(): void {
    for (const memory of this.#memories) this.#device.free(memory);
  }
}
