import { expect, it } from "vitest";
import { matricesFile, randomMatrices, smallConfig } from "../../tests/random-model.ts";
import type { Bank } from "../tensor/device.ts";
import { placeModel } from "./placement.ts";
import { modelWeights } from "./weights.ts";

const config = { ...smallConfig, layerCount: 4 };
const weightsOf = (tied: boolean) => modelWeights(matricesFile(randomMatrices(config, 1, tied)), config);
/** Of `width` 32: the embedding and the head are 48 rows, a layer has 9,280 numbers. */
const EMBEDDING = 4 * 48 * 32;
const LAYER = 4 * (32 * (32 + 16 + 16 + 32 + 3 * 64) + 2 * 32);
const NORM = 4 * 32;
const NONE = { layerCache: 0, everyBank: 0 };

function bankOf(memoryLimit?: number): Bank {
  const never = () => {
    throw new Error("nothing is allocated");
  };
  return { ...(memoryLimit === undefined ? {} : { memoryLimit }), allocate: never, free: never };
}

it("puts everything into one bank that has room for it, or no limit", () => {
  const whole = 2 * EMBEDDING + 4 * LAYER + NORM;
  const single = { bankCount: 1, layers: [0, 0, 0, 0], head: 0 };
  expect(placeModel(weightsOf(false), 4, NONE, bankOf(whole))).toEqual(single);
  expect(placeModel(weightsOf(false), 4, NONE, bankOf())).toEqual(single);
  expect(placeModel(weightsOf(false), 4, NONE, bankOf(whole - 1))).toMatchObject({ bankCount: 2, head: 1 });
});

it("fills one bank after the other, with room for caches and buffers", () => {
  const two = 2 * (LAYER + 100) + EMBEDDING + NORM + 1000;
  expect(placeModel(weightsOf(false), 4, { layerCache: 100, everyBank: 1000 }, bankOf(two))).toEqual({
    ...{ bankCount: 2, layers: [0, 0, 1, 1] },
    head: 1,
  });
  expect(placeModel(weightsOf(false), 4, { layerCache: 100, everyBank: 1001 + NORM }, bankOf(two))).toEqual({
    ...{ bankCount: 3, layers: [0, 1, 1, 2] },
    head: 2,
  });
});

it("leaves a head that is the embedding where that is", () => {
  const limit = 2 * LAYER + EMBEDDING;
  expect(placeModel(weightsOf(true), 4, NONE, bankOf(limit))).toMatchObject({
    layers: [0, 0, 1, 1],
    head: 0,
  });
});

it("says what is larger than a whole bank", () => {
  expect(() => placeModel(weightsOf(false), 4, NONE, bankOf(LAYER - 1))).toThrow(
    expect.objectContaining({ code: "no-memory", message: expect.stringContaining("layer 0") }),
  );
});
