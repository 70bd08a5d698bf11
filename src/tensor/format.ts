/**
 * The storage formats of tensors: how many values a block holds and how many bytes it takes.
 *
 * A row of a packed format is a whole number of blocks, so any row can be read on its own.
 *
 * Flow: files (a format name per tensor) → tensor/unpack.ts (values) → ops.
 * Source: ggml's block layouts (ggml-common.h) and the GGUF specification.
 */
import { CriaError } from "../shared/errors.ts";

/** A format in which Cria computes or which it converts. Names are ggml's. */
export type TensorFormat =
  | "F32"
  | "F16"
  | "BF16"
  | "I32"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL";

/** [values per block, bytes per block] of each format. */
const LAYOUTS: Readonly<Record<TensorFormat, readonly [blockLength: number, blockBytes: number]>> = {
  F32: [1, 4],
  F16: [1, 2],
  BF16: [1, 2],
  I32: [1, 4],
  Q4_0: [32, 18],
  Q4_1: [32, 20],
  Q5_0: [32, 22],
  Q5_1: [32, 24],
  Q8_0: [32, 34],
  Q2_K: [256, 84],
  Q3_K: [256, 110],
  Q4_K: [256, 144],
  Q5_K: [256, 176],
  Q6_K: [256, 210],
  IQ4_NL: [32, 18],
};

/** Every format, in the order of the table. */
export const tensorFormats: readonly TensorFormat[] = Object.keys(LAYOUTS) as TensorFormat[];

/** Values in one block: 1 for plain number formats. */
export function blockLength(format: TensorFormat): number {
  return LAYOUTS[format][0];
}

/** Bytes of one block. */
export function blockBytes(format: TensorFormat): number {
  return LAYOUTS[format][1];
}

/**
 * Bytes that a row of `columns` values takes.
 *
 * @throws {CriaError} code "bad-file" when the columns are not a whole number of blocks.
 */
export function rowBytes(format: TensorFormat, columns: number): number {
  const [length, bytes] = LAYOUTS[format];
  if (columns % length !== 0)
    throw new CriaError(
      "bad-file",
      `${format} stores blocks of ${length} values, but a row has ${columns} columns`,
    );
  return (columns / length) * bytes;
}

/** Whether values are small integers with a scale per block (everything but the plain number formats). */
export function isPacked(format: TensorFormat): boolean {
  return LAYOUTS[format][0] > 1;
}
