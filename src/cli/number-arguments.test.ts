import { describe, expect, test } from "vitest";
import { cacheFormat, collect, decimal, integer, logitBias } from "./number-arguments.ts";

describe("option values", () => {
  test("whole numbers", () => {
    expect(integer(-2)("-1")).toBe(-1);
    expect(integer(0, 20)("20")).toBe(20);
    for (const text of ["", "x", "1.5", "0x10", "1e3", " 1", "21", "-1"])
      expect(() => integer(0, 20)(text), text).toThrow("from 0 to 20");
  });

  test("numbers", () => {
    expect(decimal(0)("0.8")).toBe(0.8);
    expect(decimal(0)(".5")).toBe(0.5);
    expect(decimal(0)("1e-3")).toBe(0.001);
    for (const text of ["", "x", "NaN", "-1", "1,5"])
      expect(() => decimal(0)(text), text).toThrow("at least 0");
    expect(() => decimal(0, 1)("1.1")).toThrow("from 0 to 1");
  });

  test("formats of a cache", () => {
    expect(["f16", "q8_0", "Q8_0"].map(cacheFormat)).toEqual(["F16", "Q8_0", "Q8_0"]);
    for (const text of ["", "q4_0", "f16 "]) expect(() => cacheFormat(text), text).toThrow("f16 or q8_0");
  });

  test("logit biases collect", () => {
    expect([...logitBias("7-inf", logitBias("15043+1.5"))]).toEqual([
      [15043, 1.5],
      [7, Number.NEGATIVE_INFINITY],
    ]);
    for (const text of ["15043", "a+1", "1+", "1*2", "1+inf"])
      expect(() => logitBias(text), text).toThrow("TOKEN_ID+BIAS");
  });

  test("repeated options collect", () => {
    expect(collect("b", collect("a"))).toEqual(["a", "b"]);
  });
});
