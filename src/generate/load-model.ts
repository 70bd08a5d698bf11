/**
 * From files to a model that answers: opens the checkpoint, loads the weights into a device, and makes the engine.
 *
 * Flow: platform/node/load.ts, browser.ts (files, device) → loadModel → Model.
 */
import { bankedDevice } from "../devices/banked.ts";
import type { FileSystem } from "../files/byte-source.ts";
import { openAdapter } from "../model/adapter.ts";
import type { CacheFormatOption } from "../model/cache-format.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { checkRowsFor } from "../model/companions.ts";
import type { ModelConfig } from "../model/config.ts";
import { loadWeights, type LoadOptions as WeightOptions } from "../model/load.ts";
import type { Placement } from "../model/placement.ts";
import type { ModelWeights } from "../model/weights.ts";
import { CriaError } from "../shared/errors.ts";
import { gigabytes } from "../shared/gigabytes.ts";
import type { Device } from "../tensor/device.ts";
import { createTokenizer } from "../tokenizer/create-tokenizer.ts";
import { chatFormat } from "./chat-format/detect.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { reckonMemory } from "./memory.ts";
import { Model } from "./model.ts";

export interface LoadModelOptions extends Omit<WeightOptions, "placement"> {
  /** A tokenizer file to use instead of the model's own: tokenizer.json, .model, or llama2.c's .bin. */
  readonly tokenizer?: string;
  /** A Jinja chat template, or the name of a built-in one, instead of the model's own. */
  readonly chatTemplate?: string;
  /** Positions for prompt and answer together. Default: the model's own, at most 4096; 0: the model's own. */
  readonly contextLength?: number;
  /** Answers that can be made side by side, each with a context of its own. Default 1. */
  readonly sequences?: number;
  /**
   * What the context's keys and values are kept in: "Q8_0" takes 0.53 of the memory of "F16", the default, and needs
   * heads of a multiple of 32 channels. `{ keys, values }` for one each.
   */
  readonly cacheFormat?: CacheFormatOption;
}

/** What a platform gives. */
export interface LoadPlatform {
  readonly files: FileSystem;
  /** Bytes of the machine's memory, where they are known. */
  readonly memoryBytes?: number;
  /** Called once for every bank that the model needs. */
  createDevice(): Device | Promise<Device>;
  /** SHA-256 of files one after the other, in hexadecimal. */
  hashFiles(paths: readonly string[]): Promise<string>;
}

/** Longer contexts cost memory at once, so they have to be asked for. */
export const DEFAULT_CONTEXT = 4096;

/** @throws {CriaError} "not-found", "bad-file", "unsupported" for the files; "bad-input" for the options; "no-memory"; "aborted". */
export async function loadModel(
  path: string,
  platform: LoadPlatform,
  options: LoadModelOptions = {},
): Promise<Model> {
  const { file, config, weights, vocabulary, chatTemplate, sampling } = await openCheckpoint(
    path,
    platform.files,
    options.tokenizer,
  );
  try {
    if (!vocabulary)
      throw new CriaError(
        "not-found",
        `${file.name}: no tokenizer in the file or beside it; name one (tokenizer.json, tokenizer.model or tokenizer.bin)`,
      );
    checkRowsFor(vocabulary, config);
    const tokenizer = createTokenizer(vocabulary);
    const contextLength = resolveContext(options.contextLength, config.contextLength);
    const room = {
      contextLength,
      sequenceCount: resolveSequences(options.sequences),
      ...(options.cacheFormat === undefined ? {} : { cacheFormat: options.cacheFormat }),
    };
    let device = await platform.createDevice();
    try {
      const placement = place(device, config, weights, room, platform.memoryBytes);
      if (placement.bankCount > 1) device = await withBanks(device, placement.bankCount, platform);
      const loaded = await loadWeights(device, config, weights, { ...options, placement });
      const name = config.name !== "" ? config.name : platform.files.baseName(path);
      return new Model({
        name,
        engine: new Engine(device, config, loaded, room),
        tokenizer,
        sampling,
        chatFormat: () => chatFormat(options.chatTemplate ?? chatTemplate, tokenizer),
        hash: () => platform.hashFiles(file.paths),
        files: platform.files,
        openAdapter: (adapter) => openAdapter(adapter, config, platform.files),
      });
    } catch (error) {
      device.dispose();
      throw error;
    }
  } finally {
    await file.close();
  }
}

/** Banks that are taken where nobody knows how much memory there is: a browser says so only after it has none left. */
const MOST_BANKS = 4;

/** Says before loading, not after half a minute of it, that a model is too large; else where its parts go. */
function place(
  device: Device,
  config: ModelConfig,
  weights: ModelWeights,
  room: EngineOptions,
  memoryBytes: number | undefined,
): Placement {
  const { placement, total } = reckonMemory(device, config, weights, room);
  const limit = memoryBytes ?? MOST_BANKS * (device.memoryLimit ?? Number.POSITIVE_INFINITY);
  if (total > limit)
    throw new CriaError(
      "no-memory",
      `the model needs ${gigabytes(total)} with ${room.sequenceCount ?? 1} × ${room.contextLength} tokens of context, but ` +
        `${memoryBytes === undefined ? `at most ${MOST_BANKS} memories are taken, together` : "this process may have"} ` +
        `${gigabytes(limit)}; a shorter context or fewer bits may do`,
    );
  return placement;
}

/** The device and others like it as one. */
async function withBanks(first: Device, count: number, platform: LoadPlatform): Promise<Device> {
  const devices = [first];
  try {
    while (devices.length < count) {
      const device = await platform.createDevice();
      devices.push(device);
      // Where a platform has nothing faster any more it may give a device of another kind.
      if (device.name !== first.name)
        throw new CriaError(
          "no-memory",
          `only ${devices.length - 1} of ${count} memories could be had for the model`,
        );
    }
  } catch (error) {
    for (const device of devices.slice(1)) device.dispose();
    throw error;
  }
  return bankedDevice(devices);
}

function resolveSequences(asked = 1): number {
  if (Number.isInteger(asked) && asked >= 1 && asked <= 256) return asked;
  throw new CriaError("bad-input", `sequences is ${asked}; expected a whole number from 1 to 256`);
}

function resolveContext(asked: number | undefined, trained: number): number {
  if (asked === undefined) return Math.min(trained, DEFAULT_CONTEXT);
  if (asked === 0) return trained;
  if (!(Number.isInteger(asked) && asked > 0 && asked <= trained))
    throw new CriaError(
      "bad-input",
      `contextLength is ${asked}; expected 1 to ${trained}, the model's own, or 0 for that`,
    );
  return asked;
}
