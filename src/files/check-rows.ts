/** The bounds that every `StoredTensor.readRows` keeps. */
import { CriaError } from "../shared/errors.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/** Throws "bad-input" unless rows [rowFirst, rowFirst + rowCount) lie inside the tensor. */
export function checkRows(
  tensor: Pick<StoredTensor, "name" | "rows">,
  rowFirst: number,
  rowCount: number,
): void {
  const valid =
    Number.isSafeInteger(rowFirst) && Number.isSafeInteger(rowCount) && rowFirst >= 0 && rowCount >= 0;
  if (!valid || rowFirst + rowCount > tensor.rows)
    throw new CriaError(
      "bad-input",
      `${tensor.name}: rows ${rowFirst} to ${rowFirst + rowCount} were asked for, but it has ${tensor.rows}`,
    );
}
