import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bfloatToFloat,
  floatsToBfloats,
  floatsToHalves,
  floatToBfloat,
  floatToHalf,
  halfToFloat,
} from "./half.ts";

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

  it("go to the even neighbour from the middle of every two, and to the nearer one beside it", () => {
    const bits = new Uint32Array(1);
    const float = new Float32Array(bits.buffer);
    const wrong: number[] = [];
    for (let half = 0; half < 0x7bff; half++) {
      float[0] = (halfToFloat(half) + halfToFloat(half + 1)) / 2;
      const middle = bits[0];
      for (const [step, expected] of [
        [-1, half],
        [0, half + (half & 1)],
        [1, half + 1],
      ]) {
        bits[0] = middle + step;
        if (floatToHalf(float[0]) !== expected || floatToHalf(-float[0]) !== (expected | 0x8000))
          wrong.push(half);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("convert in bulk as one by one", () => {
    const values = Float32Array.of(1, -2.5, 70_000, 1e-9, -0, 1 / 3);
    const out = new Uint16Array(6);
    floatsToHalves(values, out);
    expect([...out]).toEqual(Array.from(values, floatToHalf));
    floatsToBfloats(values, out);
    expect([...out]).toEqual(Array.from(values, floatToBfloat));
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
