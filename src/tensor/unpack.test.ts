import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { blockBytes, blockLength, isPacked, type TensorFormat, tensorFormats } from "./format.ts";
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
