/**
 * The rows of a stored tensor in pieces of a few megabytes: what writers and loaders hold at a time.
 */
import { throwIfAborted } from "../shared/errors.ts";
import { rowBytes } from "../tensor/format.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/** Bytes of a piece, at least one row. */
const PIECE_BYTES = 4 << 20;

/** All rows of a tensor, in order. @throws {CriaError} "aborted", and what the tensor's source throws */
export async function* rowPieces(tensor: StoredTensor, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const rowsPerPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes(tensor.format, tensor.columns)));
  for (let row = 0; row < tensor.rows; row += rowsPerPiece) {
    throwIfAborted(signal);
    yield await tensor.readRows(row, Math.min(rowsPerPiece, tensor.rows - row));
  }
}
