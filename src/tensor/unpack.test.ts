import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type TensorFormat, tensorFormats } from "./format.ts";
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from "./half.ts";
import { dequantizeRow, groupLength, unpackedRow, unpackRow } from "./unpack.ts";

/** Written by scripts/oracle/dequantize.py with gguf-py. */
const fixture = join(import.meta.dirname, "..", "..", "tests", "fixtures", "dequantize.json");
const vectors = JSON.parse(readFileSync(fixture, "utf8")) as Record<
  string,
  { packed: string; values: string }
>;

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
    for (let bits = 0; bits < 65536; bits++) {
      if (!Number.isNaN(halfToFloat(bits))) expect(floatToHalf(halfToFloat(bits))).toBe(bits);
      if (!Number.isNaN(bfloatToFloat(bits))) expect(floatToBfloat(bfloatToFloat(bits))).toBe(bits);
    }
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
});
