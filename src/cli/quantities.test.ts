import { expect, test } from "vitest";
import { formatBytes, formatCount, formatRate, plural } from "./quantities.ts";

test("bytes in decimal units with three digits", () => {
  expect([0, 999, 1000, 1_045_000, 99_960_000, 999_600_000, 4_368_000_000].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "1.04 MB",
    "100 MB",
    "1.00 GB",
    "4.37 GB",
  ]);
});

test("counts, rates and plurals", () => {
  expect(formatCount(260_032)).toBe("260 thousand");
  expect(formatCount(1_100_048_384)).toBe("1.10 billion");
  expect(formatCount(12)).toBe("12");
  expect(formatRate(12.345)).toBe("12.3 tokens/s");
  expect(plural(1, "token")).toBe("1 token");
  expect(plural(2048, "token")).toBe("2,048 tokens");
});
