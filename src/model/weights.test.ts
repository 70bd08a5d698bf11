import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matricesFile, randomMatrices, smallConfig, storedRows } from "../../tests/random-model.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { canonicalName, dialectName } from "./tensor-names.ts";
import { modelWeights, reorderRows } from "./weights.ts";

/** A tensor whose row r holds the number r. */
const numbered = (rows: number) =>
  storedRows(
    "t",
    Array.from({ length: rows }, (_, r) => Float32Array.of(r)),
  );

async function rowNumbers(tensor: StoredTensor, first = 0, count = tensor.rows): Promise<number[]> {
  return [...new Float32Array((await tensor.readRows(first, count)).slice().buffer)];
}

describe("reorderRows", () => {
  it("puts the two halves of a head beside each other for Meta's order", async () => {
    const meta = reorderRows(numbered(12), 6, "meta");
    expect(await rowNumbers(meta)).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  });

  it("is undone by the other direction, in any pieces", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(),
        async (heads, half, cut) => {
          const rows = heads * 2 * half;
          const both = reorderRows(reorderRows(numbered(rows), 2 * half, "meta"), 2 * half, "huggingface");
          const at = cut % (rows + 1);
          const pieces = [...(await rowNumbers(both, 0, at)), ...(await rowNumbers(both, at, rows - at))];
          expect(pieces).toEqual(Array.from({ length: rows }, (_, r) => r));
        },
      ),
    );
  });
});

describe("tensor names", () => {
  it("map to every dialect and back", () => {
    for (const name of randomMatrices(smallConfig, 1, false).keys())
      for (const dialect of ["gguf", "safetensors", "meta"] as const)
        expect(canonicalName(dialect, dialectName(dialect, name) as string)).toBe(name);
    expect(canonicalName("safetensors", "model.layers.0.self_attn.q_proj.bias")).toBeUndefined();
  });
});

describe("modelWeights", () => {
  const without = (name: string) =>
    new Map([...randomMatrices(smallConfig, 1, false)].filter(([key]) => key !== name));
  const withRows = (name: string, rows: Float32Array[]) =>
    new Map([...randomMatrices(smallConfig, 1, false), [name, rows]]);

  it("takes a tied and an own head", () => {
    expect(modelWeights(matricesFile(without("output.weight")), smallConfig).has("output.weight")).toBe(
      false,
    );
    expect(modelWeights(matricesFile(without("none")), smallConfig).has("output.weight")).toBe(true);
  });

  it.each([
    ["a missing tensor", without("blk.1.ffn_up.weight"), /blk\.1\.ffn_up\.weight is missing/],
    [
      "a wrong shape",
      withRows("output_norm.weight", [new Float32Array(31)]),
      /output_norm\.weight is \[1, 31\]; expected \[1, 32\]/,
    ],
    [
      "a bias",
      withRows("blk.0.attn_q.bias", [new Float32Array(32)]),
      /no Llama has a tensor "blk\.0\.attn_q\.bias"/,
    ],
    [
      "a layer too many",
      withRows("blk.2.ffn_norm.weight", [new Float32Array(32)]),
      /outside the model's 2 layers/,
    ],
  ])("refuses %s", (_, matrices, message) => {
    expect(() => modelWeights(matricesFile(matrices), smallConfig)).toThrow(message);
  });
});
