/**
 * Writes the keys and values of a step's tokens into the cache, as f16.
 *
 *   cache[cell(sequence[t], position[t], head), c] = x[t, head · headLength + c]      (cell: tensor/step.ts)
 *
 * Flow: rope → store → attention.
 */
import { floatToHalf } from "../tensor/half.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { View } from "../tensor/view.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

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
  /** [cells, headLength] F16 */
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
      x.columns % cache.columns === 0 && cache.format === "F16",
      () =>
        `store: x is ${describe(x)}, but the cache is ${describe(cache)}; expected F16 heads of that width`,
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
        const output = cache.halfRow(cellOf(seen, pageLength, positions.intRow(0)[t], { head, kvHeads }));
        for (let c = 0; c < headLength; c++) output[c] = floatToHalf(input[c]);
      }
  },
};

/** The page list of the sequence that row t belongs to. */
export function pagesOf(pages: View, sequences: View, t: number): Int32Array {
  return pages.intRow(sequences.intRow(0)[t]);
}
