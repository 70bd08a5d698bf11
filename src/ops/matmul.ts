/**
 * Matrix product with weights in any stored format: nearly all of the work of a Llama.
 *
 *   y[t, o] = residual[t, o] + α · Σ over i of x[t, i] · w[o, i]        (x·Wᵀ)
 *   transposed: y[t, i] = residual[t, i] + α · Σ over o of x[t, o] · w[o, i]        (x·W)
 *
 * With packed weights x·Wᵀ takes x as int8 blocks (activations.ts), so the inner sums are integers; x·W, which only
 * gradients use, takes it as it is. The sum over blocks always runs upwards, so an output does not depend on how many
 * other rows or threads there are.
 *
 * Flow: rmsNorm, attention or swiglu → matmul → rope, swiglu, residual stream or logits.
 */
import { isPacked } from "../tensor/format.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  dequantizeRow,
  groupLength,
  hasOffsets,
  type UnpackedRow,
  unpackedRow,
  unpackRow,
} from "../tensor/unpack.ts";
import type { View } from "../tensor/view.ts";
import { ACTIVATION_BLOCK, type QuantizedRow, quantizeActivations, quantizedRow } from "./activations.ts";
import { describe, expect, liveRows, type Op, type Views } from "./op.ts";

export interface MatmulArgs {
  /** [tokens, inputs] F32 */
  readonly x: Tensor;
  /** [outputs, inputs] in any format but I32 */
  readonly w: Tensor;
  /** [tokens, outputs] F32 */
  readonly y: Tensor;
  /** [tokens, outputs] F32, added to the product; may be `y` itself */
  readonly residual?: Tensor;
  /** α, default 1 */
  readonly scale?: number;
  /** Multiply with W instead of Wᵀ: x is then [tokens, outputs], y and residual [tokens, inputs]. */
  readonly transposed?: boolean;
  /** [1, 1] I32: tokens in use */
  readonly count: Tensor;
}

export const matmul: Op<MatmulArgs> = {
  check({ x, w, y, residual, transposed }) {
    const [inputs, outputs] = transposed ? [w.rows, w.columns] : [w.columns, w.rows];
    const fits =
      x.columns === inputs &&
      y.columns === outputs &&
      (!residual || residual.columns === outputs) &&
      x.format === "F32" &&
      y.format === "F32" &&
      w.format !== "I32";
    expect(fits, () => {
      const shape = `x is ${describe(x)}, w ${describe(w)}, y ${describe(y)}`;
      return `matmul: ${shape}; expected ${inputs} columns of x and ${outputs} of y`;
    });
  },
  reference(args) {
    if (args.transposed) multiplyTransposed(args);
    else if (isPacked(args.w.format)) multiplyPacked(args);
    else multiplyFloats(args);
  },
};

/** Adds α · product to the residual and stores it. */
function put({ y, residual, scale = 1 }: Views<MatmulArgs>, t: number, o: number, product: number): void {
  y.row(t)[o] = (residual ? residual.row(t)[o] : 0) + scale * product;
}

function multiplyFloats(args: Views<MatmulArgs>): void {
  const { x, w, count } = args;
  const rows = liveRows(count);
  const weights = new Float32Array(w.columns);
  for (let o = 0; o < w.rows; o++) {
    const row = rowOf(w, o, weights);
    for (let t = 0; t < rows; t++) put(args, t, o, dot(x.row(t), row));
  }
}

/** Row `o` of W as floats: in place for F32, else dequantized into `scratch`. */
function rowOf(w: View, o: number, scratch: Float32Array): Float32Array {
  if (w.format === "F32") return w.row(o);
  dequantizeRow(w.format, w.bytes, w.rowOffset(o), w.columns, scratch);
  return scratch;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function multiplyPacked(args: Views<MatmulArgs>): void {
  const { x, w, count } = args;
  const rows = liveRows(count);
  const activations = Array.from({ length: rows }, (_, t) => {
    const row = quantizedRow(w.columns);
    quantizeActivations(x.row(t), row);
    return row;
  });
  const group = groupLength(w.format);
  const weights = unpackedRow(w.format, w.columns);
  const withOffsets = hasOffsets(w.format);
  for (let o = 0; o < w.rows; o++) {
    unpackRow(w.format, w.bytes, w.rowOffset(o), w.columns, weights);
    for (let t = 0; t < rows; t++) {
      let product = packedDot(weights, activations[t], group);
      if (withOffsets) product += offsetDot(weights, activations[t], group);
      put(args, t, o, product);
    }
  }
}

/** Σ over groups of scale(w) · scale(x) · Σ q(w) · q(x). */
function packedDot(w: UnpackedRow, x: QuantizedRow, group: number): number {
  const { quants: a, scales } = w;
  const { quants: b, scales: activationScales } = x;
  let sum = 0;
  for (let g = 0, first = 0; first < a.length; g++, first += group) {
    let integers = 0;
    for (let i = first; i < first + group; i++) integers += a[i] * b[i];
    sum += scales[g] * activationScales[(first / ACTIVATION_BLOCK) | 0] * integers;
  }
  return sum;
}

/** Σ over groups of offset(w) · Σ x, where the sums of x are those of its int8 values. */
function offsetDot({ offsets }: UnpackedRow, { halfSums }: QuantizedRow, group: number): number {
  let sum = 0;
  if (group === 16) for (let g = 0; g < offsets.length; g++) sum += offsets[g] * halfSums[g];
  else for (let g = 0; g < offsets.length; g++) sum += offsets[g] * (halfSums[2 * g] + halfSums[2 * g + 1]);
  return sum;
}

function multiplyTransposed(args: Views<MatmulArgs>): void {
  const { x, w, count } = args;
  const rows = liveRows(count);
  const weights = new Float32Array(w.columns);
  const sums = Array.from({ length: rows }, () => new Float64Array(w.columns));
  for (let o = 0; o < w.rows; o++) {
    const row = rowOf(w, o, weights);
    for (let t = 0; t < rows; t++) {
      const factor = x.row(t)[o];
      const sum = sums[t];
      for (let i = 0; i < row.length; i++) sum[i] += factor * row[i];
    }
  }
  for (let t = 0; t < rows; t++) for (let i = 0; i < w.columns; i++) put(args, t, i, sums[t][i]);
}
