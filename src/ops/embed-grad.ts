/**
 * Gradient of embed: every token adds its row to its id's row of the table.
 *
 *   dTable[tokens[t], c] += dy[t, c]      (in order of t)
 *
 * Flow: gradient of the residual stream → embedGrad → adamW.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, liveRows, type Op } from "./op.ts";

export interface EmbedGradArgs {
  /** [tokens, channels] F32 */
  readonly dy: Tensor;
  /** [1, capacity] I32 */
  readonly tokens: Tensor;
  /** [vocabulary, channels] F32, added to */
  readonly dTable: Tensor;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const embedGrad: Op<EmbedGradArgs> = {
  check({ dy, dTable }) {
    expect(
      dy.columns === dTable.columns && dTable.format === "F32",
      () => `embedGrad: dy is ${describe(dy)}, dTable ${describe(dTable)}`,
    );
  },
  reference({ dy, tokens, dTable, count }) {
    const ids = tokens.intRow(0);
    const rows = liveRows(count);
    for (let t = 0; t < rows; t++) {
      const target = dTable.row(ids[t]);
      const source = dy.row(t);
      for (let c = 0; c < source.length; c++) target[c] += source[c];
    }
  },
};
