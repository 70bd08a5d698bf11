import { describe, expect, it } from "vitest";
import { dequantizeRow } from "../tensor/unpack.ts";
import { quantizedFormats, quantizeRow } from "./quantize.ts";

const row = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 1.7) * (i < 32 ? 1 : 0.01));

describe.each(quantizedFormats)("%s", (format) => {
  it("comes back within half a step of its block", () => {
    const back = new Float32Array(64);
    dequantizeRow(format, quantizeRow(format, row), 0, 64, back);
    const levels = format === "Q8_0" ? 127 : 8;
    // Half a step, and the rounding of the scale to f16.
    row.forEach((value, i) => {
      const step = (i < 32 ? 1 : 0.01) / levels;
      expect(Math.abs(back[i] - value)).toBeLessThan(
        step * 0.51 + Math.abs(value) * 1e-3 + (levels === 8 ? step : 0),
      );
    });
  });

  it("keeps a row of zeros", () => {
    const back = new Float32Array(32).fill(1);
    dequantizeRow(format, quantizeRow(format, new Float32Array(32)), 0, 32, back);
    expect(Math.max(...back.map(Math.abs))).toBe(0);
  });

  it("refuses what it cannot hold", () => {
    expect(() => quantizeRow(format, new Float32Array(33))).toThrow(/multiple of 32/);
    expect(() => quantizeRow(format, new Float32Array(32).fill(Number.NaN))).toThrow(/finite/);
  });
});

it("has ggml's bytes", () => {
  // By hand: d = 1 / 127 (f16 0x2008), q = round(127 x).
  const x = new Float32Array(32);
  x.set([1, -1, 0.5, -0.25]);
  expect([...quantizeRow("Q8_0", x).subarray(0, 6)]).toEqual([0x08, 0x20, 127, 129, 64, 224]);
  // d = 1 / -8 (f16 0xb000), q = trunc(-8 x + 8.5): 0, 15 (of 16), 4, 10; the upper half is 8 throughout.
  expect([...quantizeRow("Q4_0", x).subarray(0, 6)]).toEqual([0x00, 0xb0, 0x80, 0x8f, 0x84, 0x8a]);
});
