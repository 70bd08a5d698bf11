/**
 * Gathers rows: the tokens whose logits are wanted, out of all tokens of a step. The bits stay as they are, also those of a
 * NaN: a page of the cache is copied as if it were one row of floats.
 *
 *   y[i, c] = x[rows[i], c]
 *
 * Flow: the last block's residual stream → copy → rmsNorm → matmul (logits). model/cache.ts: page → copy → page.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface CopyArgs {
  /** [rows, channels] F32 */
  readonly x: Tensor;
  /** [1, capacity] I32: a row of x for each row of y */
  readonly rows: Tensor;
  /** [outputs, channels] F32, not x itself */
  readonly y: Tensor;
  /** [1, 1] I32: rows of y in use */
  readonly count: Tensor;
}

export const copy: Op<CopyArgs> = {
  check({ x, rows, y }) {
    expect(
      x.columns === y.columns && rows.format === "I32",
      () => `copy: x is ${describe(x)}, rows ${describe(rows)}, y ${describe(y)}`,
    );
  },
  reference({ x, rows, y, count }) {
    const indices = rows.intRow(0);
    const live = liveRows(count);
    for (let i = 0; i < live; i++) y.row(i).set(x.row(indices[i]));
  },
};
