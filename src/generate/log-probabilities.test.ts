import fc from "fast-check";
import { expect, it } from "vitest";
import { checkedArgmax, logProbability, topLogProbabilities } from "./log-probabilities.ts";

const rows = fc
  .array(fc.float({ noNaN: true, min: -50, max: 50 }), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values));

it("exponentiates to a distribution with the softmax's ratios", () => {
  fc.assert(
    fc.property(rows, (row) => {
      const all = Array.from(row, (_, id) => logProbability(row, id));
      expect(all.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 9);
      for (const [id, value] of all.entries()) expect(value - all[0]).toBeCloseTo(row[id] - row[0], 9);
    }),
  );
});

it("does not overflow", () => {
  expect(logProbability(Float32Array.of(3e38, -3e38), 0)).toBe(0);
  expect(logProbability(Float32Array.of(-1000, -1000), 1)).toBeCloseTo(-Math.LN2, 9);
});

it("lists the likeliest tokens in order, lower ids first among equals", () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 0, max: 70 }), (row, count) => {
      const expected = Array.from(row.keys())
        .sort((a, b) => row[b] - row[a] || a - b)
        .slice(0, count);
      const top = topLogProbabilities(row, count);
      expect(top.map(({ id }) => id)).toEqual(expected);
      for (const { id, logProbability: value } of top) expect(value).toBe(logProbability(row, id));
    }),
  );
});

it("takes the largest logit, the lowest id on a tie", () => {
  expect(checkedArgmax(Float32Array.of(1, 3, 3))).toBe(1);
});

it("refuses rows that are no distribution, and ids outside them", () => {
  const bad = [
    Float32Array.of(1, Number.NaN),
    Float32Array.of(Infinity),
    Float32Array.of(-Infinity),
    new Float32Array(),
  ];
  for (const row of bad)
    expect(() => checkedArgmax(row)).toThrow(expect.objectContaining({ code: "bad-input" }));
  for (const id of [-1, 2, 0.5])
    expect(() => logProbability(Float32Array.of(0, 0), id)).toThrow(
      expect.objectContaining({ code: "bad-input" }),
    );
  expect(() => topLogProbabilities(Float32Array.of(0), -1)).toThrow(
    expect.objectContaining({ code: "bad-input" }),
  );
});
