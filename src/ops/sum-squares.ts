/**
 * Adds the sum of squares of a matrix to a number: over all gradients this is the square of their global norm.
 *
 *   y[0] += Σ x²
 */
import type { Tensor } from "../tensor/tensor.ts";
import { describe, expect, type Op } from "./op.ts";

export interface SumSquaresArgs {
  /** [rows, columns] F32 */
  readonly x: Tensor;
  /** [1, 1] F32 */
  readonly y: Tensor;
}

export const sumSquares: Op<SumSquaresArgs> = {
  check({ x, y }) {
    expect(
      y.rows === 1 && y.columns === 1,
      () => `sumSquares: x is ${describe(x)}, but y ${describe(y)}, not [1, 1]`,
    );
  },
  reference({ x, y }) {
    let sum = 0;
    for (let r = 0; r < x.rows; r++) for (const value of x.row(r)) sum += value * value;
    y.row(0)[0] += sum;
  },
};
