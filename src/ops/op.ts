/**
 * What an op is: a name, its argument type, a check of shapes made once when a call is lowered, and reference code.
 */
import { CriaError } from "../shared/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { View } from "../tensor/view.ts";

/** The same arguments with every tensor's bytes in reach. */
export type Views<Args> = {
  readonly [Key in keyof Args]: Args[Key] extends Tensor
    ? View
    : Args[Key] extends Tensor | undefined
      ? View | undefined
      : Args[Key];
};

export interface Op<Args> {
  /** @throws {CriaError} code "bad-input" when shapes or formats do not fit. */
  check(args: Args): void;
  /** The definition that every device must match. */
  reference(args: Views<Args>): void;
}

/** Throws "bad-input", starting with the op's name, unless `condition` holds. */
export function expect(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new CriaError("bad-input", message());
}

/** Shape and format of a tensor, for messages. */
export function describe(tensor: Tensor): string {
  return `[${tensor.rows}, ${tensor.columns}] ${tensor.format}`;
}

/** How many rows of a step are in use: `count` is a [1, 1] I32 tensor of the step block. */
export function liveRows(count: View): number {
  return count.intRow(0)[0];
}
