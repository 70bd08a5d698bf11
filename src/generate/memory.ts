/**
 * What a model needs of a device before any of it is loaded, and where its parts go.
 *
 * Flow: weights (sizes), options → reckonMemory → load-model.ts, `cria inspect`.
 */

import { Cache } from "../model/cache.ts";
import { resolveCacheFormats } from "../model/cache-format.ts";
import type { ModelConfig } from "../model/config.ts";
import { bufferBytes } from "../model/llama.ts";
import { PAGE_LENGTH } from "../model/page-table.ts";
import { type Placement, placeModel, type WorkingBytes, weightBytes } from "../model/placement.ts";
import type { ModelWeights } from "../model/weights.ts";
import type { Device } from "../tensor/device.ts";
import type { EngineOptions } from "./engine.ts";

/** Bytes in the device's memories. */
export interface MemoryNeed {
  readonly placement: Placement;
  readonly weights: number;
  /** Keys and values of all sequences. */
  readonly cache: number;
  /** Of a step, in every bank. */
  readonly buffers: number;
  readonly total: number;
}

/** Rows of logits that one step can give: a row of a 128k vocabulary takes half a megabyte. */
const OUTPUT_CAPACITY = 64;

/** Of what one memory can hold, this part is left to single ops and to loading; at most so many bytes. */
const SPARE_PART = 1 / 4;
const MOST_SPARE = 128 << 20;

/**
 * @param device one bank, or the only one
 * @throws {CriaError} code "no-memory" when a single layer is larger than a bank.
 */
export function reckonMemory(
  device: Device,
  config: ModelConfig,
  weights: ModelWeights,
  options: EngineOptions,
): MemoryNeed {
  const { layerCache, everyBank } = workingBytes(device, config, options);
  const spare = Math.min(MOST_SPARE, SPARE_PART * (device.memoryLimit ?? Number.POSITIVE_INFINITY));
  const placement = placeModel(
    weights,
    config.layerCount,
    { layerCache, everyBank: everyBank + spare },
    device,
  );
  const held = weightBytes(weights, device);
  const cache = layerCache * config.layerCount;
  const buffers = everyBank * placement.bankCount;
  return { placement, weights: held, cache, buffers, total: held + cache + buffers };
}

/** What the engine holds besides the weights. */
function workingBytes(device: Device, config: ModelConfig, options: EngineOptions): WorkingBytes {
  const cells = pagesPerSequence(options) * (options.sequenceCount ?? 1) * PAGE_LENGTH;
  const formats = resolveCacheFormats(config, options.cacheFormat);
  return {
    layerCache: Cache.bytesOf(config, cells, formats) / config.layerCount,
    everyBank: bufferBytes(config, device.prefillRows, outputCapacity(device)),
  };
}

/** Pages of the cache that a sequence can need. */
export function pagesPerSequence({ contextLength }: EngineOptions): number {
  return Math.ceil(contextLength / PAGE_LENGTH);
}

/** Rows of logits that a step on this device can give. */
export function outputCapacity(device: Device): number {
  return Math.min(device.prefillRows, OUTPUT_CAPACITY);
}
