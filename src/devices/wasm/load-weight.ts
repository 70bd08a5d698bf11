/**
 * Loads weights into the interleaved order (kernels/formats.ts), a few megabytes at a time: beside the weights there is
 * never more than one piece in the file's order.
 *
 * Flow: WeightPart.readRows (file order) → staging memory → INTERLEAVE on all threads → the weights' memory.
 */
import { CriaError } from "../../shared/errors.ts";
import type { WeightPart } from "../../tensor/device.ts";
import { rowBytes } from "../../tensor/format.ts";
import { denseTensor, type Memory, type Tensor } from "../../tensor/tensor.ts";
import { type Call, interleaveCall, interleavedBytes, interleaveScratch, type Place } from "./lower.ts";

/** Bytes of a piece, about. */
const PIECE_BYTES = 4 << 20;

/** What loading needs of the device. */
export interface LoadTarget {
  readonly place: Place;
  /** Memory for interleaved weights. */
  allocate(byteLength: number): Memory;
  /** Memory for rows in the file's order. */
  stage(byteLength: number): Memory;
  free(memory: Memory): void;
  write(memory: Memory, bytes: Uint8Array, byteOffset: number): void;
  addressOf(memory: Memory): number;
  run(calls: readonly Call[]): Promise<void>;
}

/** The parts below each other as one tensor. */
export async function loadInterleaved(parts: readonly WeightPart[], target: LoadTarget): Promise<Tensor> {
  const { format, columns } = parts[0];
  for (const part of parts)
    if (part.format !== format || part.columns !== columns)
      throw new CriaError(
        "bad-input",
        `weights put below each other differ: ${part.format} of ${part.columns} columns after ${format} of ${columns}`,
      );
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const { place } = target;
  const stride = rowBytes(format, columns);
  // Whole groups of 8 rows, so that a piece ends where a group does.
  const pieceRows = 8 * Math.max(1, Math.min(Math.ceil(rows / 8), Math.floor(PIECE_BYTES / (8 * stride))));
  const memory = target.allocate(interleavedBytes(place.kernels, format, rows, columns));
  const staging = target.stage(pieceRows * stride);
  try {
    let row = 0;
    for await (const { bytes, rowCount } of pieces(parts, pieceRows)) {
      target.write(staging, bytes, 0);
      const piece = { rows: rowCount, columns, stride, format };
      const to = target.addressOf(memory) + interleavedBytes(place.kernels, format, row, columns);
      const scratch = place.scratch(interleaveScratch(place.threadCount));
      await target.run([interleaveCall(target.addressOf(staging), to, piece, scratch)]);
      row += rowCount;
    }
    return denseTensor(memory, 0, rows, columns, format);
  } catch (error) {
    target.free(memory);
    throw error;
  } finally {
    target.free(staging);
  }
}

/** The parts' rows in pieces of `pieceRows`, the last maybe shorter; a piece may hold rows of several parts. */
async function* pieces(
  parts: readonly WeightPart[],
  pieceRows: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly rowCount: number }> {
  const stride = rowBytes(parts[0].format, parts[0].columns);
  const bytes = new Uint8Array(pieceRows * stride);
  let rowCount = 0;
  for (const part of parts) {
    for (let row = 0; row < part.rows; ) {
      const count = Math.min(pieceRows - rowCount, part.rows - row);
      bytes.set(await part.readRows(row, count), rowCount * stride);
      row += count;
      rowCount += count;
      if (rowCount < pieceRows) continue;
      yield { bytes, rowCount };
      rowCount = 0;
    }
  }
  if (rowCount > 0) yield { bytes: bytes.subarray(0, rowCount * stride), rowCount };
}
