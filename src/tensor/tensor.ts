/**
 * A matrix of rows in a device's memory. A row is a token or an output channel; there is no other shape.
 *
 * Flow: model/weights.ts and Arena make tensors → ops take them → devices resolve them to addresses.
 */
import { CriaError } from "../shared/errors.ts";
import { rowBytes, type TensorFormat } from "./format.ts";

/** Bytes owned by a device; only that device knows where they are. */
export interface Memory {
  readonly byteLength: number;
}

export interface Tensor {
  readonly memory: Memory;
  /** Where row 0 starts. */
  readonly byteOffset: number;
  readonly rows: number;
  readonly columns: number;
  /** Bytes from one row to the next; more than a row's own bytes in a view of some columns. */
  readonly stride: number;
  readonly format: TensorFormat;
}

/** Whether an argument of an op is a tensor, and not a number or an option. */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "memory" in value;
}

/** A tensor whose rows follow each other without a gap. */
export function denseTensor(
  memory: Memory,
  byteOffset: number,
  rows: number,
  columns: number,
  format: TensorFormat,
): Tensor {
  return { memory, byteOffset, rows, columns, stride: rowBytes(format, columns), format };
}

/**
 * The columns [columnFirst, columnFirst + columnCount) of every row: q inside a fused [q | k | v].
 * Only for F32, whose columns can start anywhere.
 */
export function columnView(tensor: Tensor, columnFirst: number, columnCount: number): Tensor {
  if (tensor.format !== "F32")
    throw new CriaError("bad-input", `a column view needs F32, not ${tensor.format}`);
  return { ...tensor, byteOffset: tensor.byteOffset + 4 * columnFirst, columns: columnCount };
}

/** The rows [rowFirst, rowFirst + rowCount). */
export function rowView(tensor: Tensor, rowFirst: number, rowCount: number): Tensor {
  return { ...tensor, byteOffset: tensor.byteOffset + rowFirst * tensor.stride, rows: rowCount };
}
