/** Sets every value of a matrix: gradients to 0 before a step, gains to 1 at the start. */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, type Op } from "./op.ts";

export interface FillArgs {
  /** [rows, columns] F32 */
  readonly y: Tensor;
  readonly value: number;
}

export const fill: Op<FillArgs> = {
  check({ y }) {
    expect(y.format === "F32", () => `fill: y is ${describe(y)}; expected F32`);
  },
  reference({ y, value }) {
    for (let r = 0; r < y.rows; r++) y.row(r).fill(value);
  },
};
