import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countingTensor, ggufBytes } from "../../../tests/builders/gguf.ts";
import { dataFile } from "../../../tests/data.ts";
import { tensorFormats } from "../../tensor/format.ts";
import { memorySource } from "../byte-source.ts";
import { openGguf } from "./read.ts";
import type { GgufType } from "./types.ts";
import type { GgufEntry } from "./write.ts";

async function rewritten(bytes: Uint8Array): Promise<Uint8Array> {
  const file = await openGguf(memorySource(bytes));
  const entries = [...file.metadata].map(([key, value]) => ({
    key,
    value,
    type: file.types.get(key) as GgufType,
  }));
  return ggufBytes(entries, [...file.tensors.values()], file.version);
}

/** Any bit pattern, those of no number too. */
function floatsOfBits(bits: readonly number[]): Float32Array {
  return new Float32Array(Uint32Array.from(bits).buffer);
}

describe("writeGguf", () => {
  it("gives back every metadata type", async () => {
    const entries: GgufEntry[] = [
      { key: "u8", type: "u8", value: 255 },
      { key: "i8", type: "i8", value: -128 },
      { key: "u16", type: "u16", value: 65535 },
      { key: "i16", type: "i16", value: -32768 },
      { key: "u32", type: "u32", value: 4294967295 },
      { key: "i32", type: "i32", value: -2147483648 },
      { key: "f32", type: "f32", value: 0.5 },
      { key: "bool", type: "bool", value: true },
      { key: "string", type: "string", value: "grün 🌍\u0000" },
      { key: "small", type: "u64", value: 7 },
      { key: "large", type: "u64", value: 2n ** 64n - 1n },
      { key: "i64", type: "i64", value: -(2n ** 63n) },
      { key: "f64", type: "f64", value: Math.PI },
      { key: "strings", type: "array<string>", value: ["a", "", "ß"] },
      { key: "floats", type: "array<f32>", value: Float32Array.of(1, -2.5) },
      { key: "bools", type: "array<bool>", value: [true, false] },
      { key: "nested", type: "array<array<i16>>", value: [Int16Array.of(1), Int16Array.of(2, 3)] },
      { key: "empty", type: "array<u64>", value: [] },
    ];
    for (const version of [2, 3]) {
      const file = await openGguf(memorySource(await ggufBytes(entries, [], version)));
      expect(file.version).toBe(version);
      for (const { key, type, value } of entries) {
        expect(file.metadata.get(key)).toEqual(value);
        expect(file.types.get(key)).toBe(type);
      }
    }
  });

  it("round-trips random contents byte for byte", async () => {
    const entry = fc.oneof(
      fc.record({ type: fc.constant("string"), value: fc.string({ unit: "grapheme" }) }),
      fc.record({ type: fc.constant("i64"), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
      fc.record({ type: fc.constant("array<string>"), value: fc.array(fc.string()) }),
      fc.record({ type: fc.constant("array<u8>"), value: fc.uint8Array() }),
      fc.record({ type: fc.constant("array<f32>"), value: fc.array(fc.nat(0xffffffff)).map(floatsOfBits) }),
      fc.record({ type: fc.constant("bool"), value: fc.boolean() }),
      fc.record({ type: fc.constant("f64"), value: fc.double() }),
    );
    const shape = fc.record({
      format: fc.constantFrom(...tensorFormats),
      outer: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
      blocks: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry), fc.array(shape, { maxLength: 5 }), async (values, shapes) => {
        const entries = values.map((value, index) => ({ key: `key.${index}`, ...value }) as GgufEntry);
        const tensors = shapes.map(({ format, outer, blocks }, index) => {
          const rows = outer.reduce((product, size) => product * size, 1);
          return countingTensor(`t${index}`, format, rows, blocks * 256, { shape: [...outer, blocks * 256] });
        });
        const bytes = await ggufBytes(entries, tensors);
        expect(Buffer.compare(await rewritten(bytes), bytes)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it.for(["ggml-vocab-llama-spm.gguf", "ggml-vocab-gpt-2.gguf"])(
    "rewrites llama.cpp's %s byte for byte",
    async (name, { skip }) => {
      const path = dataFile(`tokenizers/vectors/${name}`);
      if (!path) return skip(`no ${name}`);
      const bytes = new Uint8Array(readFileSync(path));
      expect(Buffer.compare(await rewritten(bytes), bytes)).toBe(0);
    },
  );

  it("keeps the bits of floats that are no numbers", async () => {
    const value = floatsOfBits([0x7f800001, 0xffc12345]);
    const bytes = await ggufBytes([{ key: "k", type: "array<f32>", value }], []);
    expect(Buffer.from(bytes.slice(-8)).toString("hex")).toBe("0100807f4523c1ff");
    expect(await rewritten(bytes)).toEqual(bytes);
  });

  it("gives back the shapes that rows and columns do not tell", async () => {
    const shapes = [[16], [1, 16], [2, 3, 16], [2, 1, 3, 16]];
    const tensors = shapes.map((shape, index) => {
      const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
      return countingTensor(`t${index}`, "F32", rows, 16, { shape });
    });
    const bytes = await ggufBytes([], tensors);
    const file = await openGguf(memorySource(bytes));
    expect([...file.tensors.values()].map(({ shape }) => shape)).toEqual(shapes);
    expect([...file.tensors.values()].map(({ rows }) => rows)).toEqual([1, 1, 6, 6]);
    expect(await rewritten(bytes)).toEqual(bytes);
  });

  it("refuses to write what a type cannot hold", async () => {
    const wrong = (type: GgufType, value: GgufEntry["value"]) => ggufBytes([{ key: "k", type, value }], []);
    await expect(wrong("u8", 256)).rejects.toThrow("k: expected a value of type u8, but got 256");
    await expect(wrong("i16", 1.5)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("u64", -1)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("array<u8>", 3)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("string", 3)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("string", "\ud800")).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("bool", 2)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("u8", true)).rejects.toMatchObject({ code: "bad-input" });
  });

  it("refuses to write what no reader would take", async () => {
    const entry: GgufEntry = { key: "k", type: "u8", value: 1 };
    const aligned = (value: number) => ggufBytes([{ key: "general.alignment", type: "u32", value }], []);
    const one = countingTensor("t", "F32", 1, 4);
    await expect(ggufBytes([entry, entry], [])).rejects.toThrow('metadata key "k" is given twice');
    await expect(ggufBytes([], [one, one])).rejects.toThrow('tensor "t" is given twice');
    await expect(aligned(48)).rejects.toThrow("expected a value of type a power of two, but got 48");
    await expect(aligned(0)).rejects.toMatchObject({ code: "bad-input" });
    await expect(ggufBytes([], [{ ...one, shape: [2, 4] }])).rejects.toThrow(
      /\[2, 4\] is not that of 1 rows/,
    );
  });
});
