/**
 * Where the parts of a model lie on a device of several banks, each of which holds so much and no more: layers in order,
 * as many in each bank as have room, so that the residual stream goes from one to the next once a step.
 *
 *   bank 0: embedding, layers 0 … i     bank 1: layers i + 1 … j     last bank: …, head
 *
 * Flow: weights (sizes) → placeModel → generate/load-model.ts (as many banks) → load.ts, cache.ts, llama.ts.
 */
import type { StoredTensor } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { gigabytes } from "../shared/gigabytes.ts";
import type { Bank } from "../tensor/device.ts";
import { rowBytes } from "../tensor/format.ts";
import type { ModelWeights } from "./weights.ts";

export interface Placement {
  readonly bankCount: number;
  /** The bank of each layer, and of its keys and values. */
  readonly layers: readonly number[];
  /** The bank of what makes logits of the last layer's output. The embedding is in the first. */
  readonly head: number;
}

/** Bytes that a model takes besides its weights. */
export interface WorkingBytes {
  /** Keys and values of a layer. */
  readonly layerCache: number;
  /** What every bank has: the buffers of a step, and room for single ops. */
  readonly everyBank: number;
}

/** Everything in the one bank there is. */
export function singlePlacement(layerCount: number): Placement {
  return { bankCount: 1, layers: new Array<number>(layerCount).fill(0), head: 0 };
}

/**
 * Gives each part the first bank that has room for it after those before.
 *
 * @param bank one like all the others; a bank without a limit holds everything.
 * @throws {CriaError} code "no-memory" when a single part is larger than a bank.
 */
export function placeModel(
  weights: ModelWeights,
  layerCount: number,
  working: WorkingBytes,
  bank: Bank,
): Placement {
  const limit = (bank.memoryLimit ?? Number.POSITIVE_INFINITY) - working.everyBank;
  let current = 0;
  let used = 0;
  const place = (what: string, byteLength: number): number => {
    if (byteLength > limit)
      throw new CriaError(
        "no-memory",
        `${what} takes ${gigabytes(byteLength)}, but one memory of the device has room for ${gigabytes(Math.max(0, limit))}; ` +
          "a shorter context or fewer bits may do",
      );
    if (used + byteLength > limit) {
      current++;
      used = 0;
    }
    used += byteLength;
    return current;
  };
  place("the embedding", bytesWith(weights, "token_embd.", bank));
  const layers = Array.from({ length: layerCount }, (_, index) =>
    place(`layer ${index}`, bytesWith(weights, `blk.${index}.`, bank) + working.layerCache),
  );
  // A head that is the embedding has to be where that is.
  const head = weights.has("output.weight") ? place("the head", bytesWith(weights, "output", bank)) : 0;
  return { bankCount: current + 1, layers, head };
}

/** Bytes of all weights in the device's memory. */
export function weightBytes(weights: ModelWeights, bank: Bank): number {
  return bytesWith(weights, "", bank);
}

function bytesWith(weights: ModelWeights, prefix: string, bank: Bank): number {
  let sum = 0;
  for (const [name, tensor] of weights) if (name.startsWith(prefix)) sum += bytesOf(tensor, bank);
  return sum;
}

function bytesOf({ format, rows, columns }: StoredTensor, bank: Bank): number {
  // Rows of gains become F32.
  if (rows === 1) return 4 * columns;
  return bank.weightBytes?.(format, rows, columns) ?? rows * rowBytes(format, columns);
}
