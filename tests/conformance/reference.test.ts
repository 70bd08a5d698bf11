/** The reference device against definitions that share no code with it, where the ops are more than a formula. */
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { isPacked, rowBytes, tensorFormats } from "../../src/tensor/format.ts";
import { dequantizeRow } from "../../src/tensor/unpack.ts";
import { expectOneRowEqualsMany, expectRecordedEqualsEager } from "./harness.ts";
import { Place, randomValues, randomWeights } from "./place.ts";
import { allCases } from "./run-case.ts";

const device = createReferenceDevice();

async function floatsOf(place: Place, tensor: Parameters<Place["read"]>[0]): Promise<Float32Array> {
  return new Float32Array((await place.read(tensor)).slice().buffer);
}

describe.each(allCases)("$op: $name", ({ op, name }) => {
  it("recorded equals eager", () => expectRecordedEqualsEager(device, op, name));
  it("one row equals many", () => expectOneRowEqualsMany(device, op, name));
});

describe("matmul of packed weights", () => {
  it.each(tensorFormats.filter(isPacked))(
    "%s is the product of its values, but for int8 activations",
    async (format) => {
      const place = new Place(device);
      const [rows, outputs, columns] = [3, 9, 512];
      const w = place.plainWeights(format, outputs, columns, 1);
      const x = place.random(rows, columns, 2);
      const y = place.output(rows, outputs);
      device.run("matmul", { x, w, y, count: place.count(rows) });
      const actual = await floatsOf(place, y);

      const bytes = randomWeights(format, outputs, columns, 1);
      const inputs = randomValues(rows * columns, 2);
      for (let o = 0; o < outputs; o++) {
        const weights = new Float32Array(columns);
        dequantizeRow(format, bytes, o * rowBytes(format, columns), columns, weights);
        for (let t = 0; t < rows; t++) {
          let wanted = 0;
          let bound = 0;
          for (let i = 0; i < columns; i++) {
            wanted += weights[i] * inputs[t * columns + i];
            // Half a step of the activations' int8, whose largest value is below 1.
            bound += Math.abs(weights[i]) * (0.5 / 127);
          }
          expect(Math.abs(actual[t * outputs + o] - wanted)).toBeLessThan(bound);
        }
      }
    },
  );
});

describe("sample", () => {
  it("draws as often as the probabilities say", async () => {
    const place = new Place(device);
    const probabilities = [0.5, 0.3, 0.15, 0.05];
    const draws = 2000;
    const logits = Float32Array.from({ length: 4 * draws }, (_, i) => Math.log(probabilities[i % 4]));
    const ids = place.output(draws, 1, "I32");
    const seeds = place.ints(Array.from({ length: draws }, (_, seed) => seed));
    const args = { logits: place.floats(logits, draws), seeds, ids, temperature: 1, topK: 3 };
    device.run("sample", { ...args, count: place.count(draws) });
    const drawn = new Int32Array((await place.read(ids)).slice().buffer);
    const counts = [0, 1, 2, 3].map((id) => drawn.filter((other) => other === id).length / draws);
    // The fourth is not among the best three.
    expect(counts[3]).toBe(0);
    for (const id of [0, 1, 2]) expect(Math.abs(counts[id] - probabilities[id] / 0.95)).toBeLessThan(0.04);
  });
});
