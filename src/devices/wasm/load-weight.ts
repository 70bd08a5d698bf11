/**
 * Loads weights into the interleaved order (kernels/formats.ts), a few megabytes at a time: beside the weights there is
 * never more than one piece in the file's order.
 *
 * Flow: WeightPart.readRows (file order) → staging memory → INTERLEAVE on all threads → the weights' memory. A file of
 * Node's is read into the staging memory itself; other sources, and devices in a worker, need a copy.
 */
import { CriaError } from "../../shared/errors.ts";
import type { WeightPart } from "../../tensor/device.ts";
import { rowBytes } from "../../tensor/format.ts";
import { denseTensor, type Memory, type Tensor } from "../../tensor/tensor.ts";
import { interleaveCall, interleavedBytes, interleaveScratch } from "./lower-products.ts";
import type { Call, Place } from "./words.ts";

/** Bytes of a piece, about. */
const PIECE_BYTES = 4 << 20;

/** What loading needs of the device. */
export interface LoadTarget {
  readonly place: Place;
  /** Memory for interleaved weights, with anything in it. */
  allocate(byteLength: number): Memory;
  /** Memory for rows in the file's order, with anything in it. */
  stage(byteLength: number): Memory;
  free(memory: Memory): void;
  /** Writes at once, also while calls run that do not use the place. */
  put(address: number, bytes: Uint8Array): void;
  addressOf(memory: Memory): number;
  /** The memory's own bytes, if this thread sees them and they stay where they are. */
  bytesOf(memory: Memory): Uint8Array | undefined;
  /** Room of this program's for as much, the same each time: weights are loaded one after the other. */
  room(byteLength: number): Uint8Array;
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
  // One piece is read while the other is put in order.
  const staging = target.stage(2 * pieceRows * stride);
  const staged = target.bytesOf(staging);
  const scratch = place.scratch(interleaveScratch(place.threadCount));
  let running = Promise.resolve();
  try {
    /** Where the piece begins in the staging memory: its first half or its second. */
    let half = 0;
    let rowFirst = 0;
    let rowCount = 0;
    for (const part of parts) {
      for (let row = 0; row < part.rows; ) {
        const count = Math.min(pieceRows - rowCount, part.rows - row);
        const at = half + rowCount * stride;
        const into = staged?.subarray(at, at + count * stride) ?? target.room(pieceRows * stride);
        const bytes = await part.readRows(row, count, into);
        if (bytes.buffer !== staged?.buffer) target.put(target.addressOf(staging) + at, bytes);
        row += count;
        rowCount += count;
        if (rowCount < pieceRows && rowFirst + rowCount < rows) continue;
        const from = target.addressOf(staging) + half;
        const to = target.addressOf(memory) + interleavedBytes(place.kernels, format, rowFirst, columns);
        await running;
        running = target.run([
          interleaveCall(from, to, { rows: rowCount, columns, stride, format }, scratch),
        ]);
        // A failure is met at the next await, which may come after it.
        running.catch(() => {});
        half = half === 0 ? pieceRows * stride : 0;
        rowFirst += rowCount;
        rowCount = 0;
      }
    }
    await running;
    return denseTensor(memory, 0, rows, columns, format);
  } catch (error) {
    target.free(memory);
    throw error;
  } finally {
    target.free(staging);
  }
}
