import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blockBytes, blockLength, isPacked, type TensorFormat, tensorFormats } from "./format.ts";
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from "./half.ts";
import { dequantizeRow, groupLength, hasOffsets, unpackedRow, unpackRow } from "./unpack.ts";

/** Written by scripts/oracle/dequantize.py with gguf-py. */
const fixture = join(import.meta.dirname, "..", "..", "tests", "fixtures", "dequantize.json");
const vectors = JSON.parse(readFileSync(fixture, "utf8")) as Record<
  string,
  { packed: string; values: string }
>;

const packedFormats = tensorFormats.filter(isPacked);

describe("dequantizeRow", () => {
  it.each(Object.keys(vectors))("gives gguf-py's values of %s to the bit", (name) => {
    const packed = Buffer.from(vectors[name].packed, "hex");
    const values = Buffer.from(vectors[name].values, "hex");
    // At an odd offset, since rows in a file may start anywhere.
    const bytes = Buffer.concat([Buffer.from([0xff]), packed]);
    const out = new Float32Array(values.length / 4);
    dequantizeRow(name as TensorFormat, bytes, 1, out.length, out);
    expect(Buffer.from(out.buffer).toString("hex")).toBe(vectors[name].values);
  });

  it("reads f32 at any offset, every bit", () => {
    const values = Uint32Array.of(0x3f800001, 0x80000000, 0x00000001, 0xff800000, 0x7f7fffff);
    const bytes = Buffer.concat([Buffer.from([1, 2, 3]), Buffer.from(values.buffer)]);
    const out = new Float32Array(5);
    dequantizeRow("F32", bytes, 3, 5, out);
    expect(new Uint32Array(out.buffer)).toEqual(values);
  });

  it.each(packedFormats)("gives scale · quant + offset of what unpackRow gives for %s", (format) => {
    const packed = Buffer.from(vectors[format].packed, "hex");
    const columns = (packed.length / blockBytes(format)) * blockLength(format);
    const row = unpackedRow(format, columns);
    unpackRow(format, packed, 0, columns, row);
    const values = new Float32Array(columns);
    dequantizeRow(format, packed, 0, columns, values);
    const expected = Float32Array.from(row.quants, (quant, c) => {
      const g = Math.floor(c / groupLength(format));
      return Math.fround(row.scales[g] * quant) + row.offsets[g];
    });
    expect(values).toEqual(expected.map((value, c) => (value === 0 ? values[c] : value)));
    if (!hasOffsets(format)) expect(row.offsets).toEqual(new Float32Array(row.offsets.length));
    else expect(row.offsets.some((offset) => offset !== 0)).toBe(true);
  });

  it("has a vector for every format but plain f32 and i32", () => {
    const missing = tensorFormats.filter((format) => !(format in vectors));
    expect(missing).toEqual(["F32", "I32"]);
  });

  it("refuses integers", () => {
    expect(() => dequantizeRow("I32", new Uint8Array(4), 0, 1, new Float32Array(1))).toThrow(
      "I32 does not hold floats",
    );
    expect(() => unpackRow("F32", new Uint8Array(4), 0, 1, unpackedRow("Q8_0", 32))).toThrow(
      "not a packed format",
    );
  });

  it("knows the groups of 16", () => {
    expect(tensorFormats.filter((format) => groupLength(format) === 16)).toEqual(["Q2_K", "Q3_K", "Q6_K"]);
  });
});

describe("halves", () => {
  it("survive the way to f32 and back, all of them", () => {
    const all = Array.from({ length: 65536 }, (_, bits) => bits);
    const numbers = (toFloat: (bits: number) => number) => all.filter((bits) => !Number.isNaN(toFloat(bits)));
    const changed = (toFloat: (bits: number) => number, fromFloat: (value: number) => number) =>
      numbers(toFloat).filter((bits) => fromFloat(toFloat(bits)) !== bits);
    expect(numbers(halfToFloat)).toHaveLength(65536 - 2 * 1023);
    expect(changed(halfToFloat, floatToHalf)).toEqual([]);
    expect(numbers(bfloatToFloat)).toHaveLength(65536 - 2 * 127);
    expect(changed(bfloatToFloat, floatToBfloat)).toEqual([]);
    expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN();
    expect(bfloatToFloat(floatToBfloat(Number.NaN))).toBeNaN();
  });

  it("round as the engine's own f16round does", () => {
    fc.assert(
      fc.property(fc.float(), (value) => {
        expect(halfToFloat(floatToHalf(value))).toBe(Math.f16round(value));
      }),
      { numRuns: 5000 },
    );
    for (const value of [65519.99, 65520, -65520, 2 ** -24, 2 ** -25, 1.5 * 2 ** -24, 2 ** -14])
      expect(halfToFloat(floatToHalf(value))).toBe(Math.f16round(Math.fround(value)));
  });

  it.each([
    // Halfway between two BF16: to the even one; a little more: up; the largest f32: infinity.
    [0x3f808000, 0x3f80],
    [0x3f818000, 0x3f82],
    [0x3f808001, 0x3f81],
    [0xbf818000, 0xbf82],
    [0x7f7fffff, 0x7f80],
    [0xff7fffff, 0xff80],
    [0x00008001, 0x0001],
    [0x80000001, 0x8000],
  ])("round the f32 %i to the BF16 %i", (float, bfloat) => {
    expect(floatToBfloat(new Float32Array(Uint32Array.of(float).buffer)[0])).toBe(bfloat);
  });
});
