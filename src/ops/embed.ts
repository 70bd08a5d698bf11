/**
 * Token embedding: one row of the table for each token id.
 *
 *   y[t, c] = table[tokens[t], c]
 *
 * Flow: Step.tokens → embed → residual stream.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface EmbedArgs {
  /** [vocabulary, channels], any format but I32 */
  readonly table: Tensor;
  /** [1, capacity] I32 */
  readonly tokens: Tensor;
  /** [tokens, channels] F32 */
  readonly y: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const embed: Op<EmbedArgs> = {
  check({ table, y }) {
    expect(table.columns === y.columns, () => `embed: table is ${describe(table)}, but y is ${describe(y)}`);
  },
  reference({ table, tokens, y, count }) {
    const ids = tokens.intRow(0);
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++)
      dequantizeRow(table.format, table.bytes, table.rowOffset(ids[t]), table.columns, y.row(t));
  },
};
