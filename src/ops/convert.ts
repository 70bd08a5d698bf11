/**
 * Changes the number format of a matrix: any format to F32, or F32 to F16.
 *
 *   y[r, c] = x[r, c]      (rounded to nearest even where y is narrower)
 */
import { floatToHalf } from "../tensor/half.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import { describe, expect, type Op } from "./op.ts";

export interface ConvertArgs {
  /** [rows, columns], any format but I32 */
  readonly x: Tensor;
  /** [rows, columns] F32, or F16 when x is F32 */
  readonly y: Tensor;
}

export const convert: Op<ConvertArgs> = {
  check({ x, y }) {
    const formats = y.format === "F32" ? x.format !== "I32" : y.format === "F16" && x.format === "F32";
    expect(
      formats && x.rows === y.rows && x.columns === y.columns,
      () => `convert: x is ${describe(x)}, y ${describe(y)}`,
    );
  },
  reference({ x, y }) {
    for (let r = 0; r < x.rows; r++) {
      if (y.format === "F32") dequantizeRow(x.format, x.bytes, x.rowOffset(r), x.columns, y.row(r));
      else for (let c = 0; c < x.columns; c++) y.halfRow(r)[c] = floatToHalf(x.row(r)[c]);
    }
  },
};
