/**
 * Writes the keys and values of a step's tokens into the cache, rounded to f16 or to blocks of 32 int8 (tensor/pack.ts).
 *
 *   cache[cell(sequence[t], position[t], head), c] = x[t, head · headLength + c]      (cell: tensor/step.ts)
 *
 * Flow: rope → store → attention.
 */
import { blockBytes, blockLength, type TensorFormat } from "../tensor/format.ts";
import { floatToHalf } from "../tensor/half.ts";
import { packQ80 } from "../tensor/pack.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { View } from "../tensor/view.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

/** What keys and values can be kept in. */
export const cacheFormats = ["F16", "Q8_0"] as const;
export type CacheFormat = (typeof cacheFormats)[number];

export function isCacheFormat(format: TensorFormat): format is CacheFormat {
  return (cacheFormats as readonly TensorFormat[]).includes(format);
}

/** Where the tokens of a step are in the cache. */
export interface CacheArgs {
  /** [1, capacity] I32 */
  readonly positions: Tensor;
  /** [1, capacity] I32 */
  readonly sequences: Tensor;
  /** [sequences, pages] I32 */
  readonly pages: Tensor;
  /** Positions in a page. */
  readonly pageLength: number;
}

export interface StoreArgs extends CacheArgs {
  /** [tokens, key/value heads · headLength] F32 */
  readonly x: Tensor;
  /** [cells, headLength] F16 or Q8_0 */
  readonly cache: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

/** Which of how many key/value heads. */
interface CacheHead {
  readonly head: number;
  readonly kvHeads: number;
}

/** Row of the cache that holds a position of one head of a sequence, whose row of `Step.pages` is given. */
export function cellOf(
  pages: Int32Array,
  pageLength: number,
  position: number,
  { head, kvHeads }: CacheHead,
): number {
  const page = pages[Math.floor(position / pageLength)];
  return (page * kvHeads + head) * pageLength + (position % pageLength);
}

export const store: Op<StoreArgs> = {
  check({ x, cache }) {
    expect(
      x.columns % cache.columns === 0 && isCacheFormat(cache.format),
      () =>
        `store: x is ${describe(x)}, but the cache is ${describe(cache)}; expected F16 or Q8_0 heads of that width`,
    );
  },
  reference({ x, cache, positions, sequences, pages, pageLength, count }) {
    const rows = liveRows(count);
    const headLength = cache.columns;
    const kvHeads = x.columns / headLength;
    for (let t = 0; t < rows; t++)
      for (let head = 0; head < kvHeads; head++) {
        const input = x.row(t).subarray(head * headLength, (head + 1) * headLength);
        const seen = pagesOf(pages, sequences, t);
        put(input, cache, cellOf(seen, pageLength, positions.intRow(0)[t], { head, kvHeads }));
      }
  },
};

/** Rounds a row into a cell. */
function put(input: Float32Array, cache: View, cell: number): void {
  if (cache.format === "F16") {
    const output = cache.halfRow(cell);
    for (let c = 0; c < input.length; c++) output[c] = floatToHalf(input[c]);
    return;
  }
  const view = new DataView(cache.bytes.buffer, cache.bytes.byteOffset);
  const length = blockLength("Q8_0");
  for (let first = 0, at = cache.rowOffset(cell); first < input.length; first += length) {
    packQ80(input.subarray(first, first + length), view, at);
    at += blockBytes("Q8_0");
  }
}

/** The page list of the sequence that row t belongs to. */
export function pagesOf(pages: View, sequences: View, t: number): Int32Array {
  return pages.intRow(sequences.intRow(0)[t]);
}
