import { expect, it } from "vitest";
import { rateAt, type Schedule } from "./schedule.ts";

const schedule: Schedule = { rate: 1, warmup: 10, shape: "cosine", final: 0.1 };

it("rises in a line and falls along the curve asked for", () => {
  expect(rateAt(schedule, 5, 110)).toBeCloseTo(0.5);
  expect(rateAt(schedule, 10, 110)).toBe(1);
  expect(rateAt(schedule, 60, 110)).toBeCloseTo(0.55);
  expect(rateAt(schedule, 110, 110)).toBeCloseTo(0.1);
  expect(rateAt({ ...schedule, shape: "linear" }, 60, 110)).toBeCloseTo(0.55);
  expect(rateAt({ ...schedule, shape: "linear" }, 110, 110)).toBeCloseTo(0.1);
  expect(rateAt({ ...schedule, shape: "constant" }, 110, 110)).toBe(1);
});

it("starts at the peak without a warm-up", () => {
  expect(rateAt({ ...schedule, warmup: 0, shape: "constant" }, 1, 5)).toBe(1);
  expect(rateAt({ ...schedule, warmup: 0 }, 1, 100)).toBeGreaterThan(0.99);
});

it("refuses settings that make no sense", () => {
  expect(() => rateAt({ ...schedule, rate: 0 }, 1, 5)).toThrow(/rate above 0/);
  expect(() => rateAt({ ...schedule, final: 2 }, 1, 5)).toThrow(/final share/);
});
