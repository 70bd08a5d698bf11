import fc from "fast-check";
import { expect, it } from "vitest";
import { Candidates } from "./candidates.ts";

const logit = fc.oneof(fc.float({ noNaN: true, min: -20, max: 20 }), fc.constantFrom(-1, 0, 1, -Infinity));

it("selects what a full sort by logit, then id, would put first", () => {
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 0, max: 90 }),
      (values, k) => {
        const row = Float32Array.from(values);
        const candidates = new Candidates(k);
        candidates.select(row, k);
        const sorted = Array.from(row.keys()).sort((a, b) => order(row[a], row[b]) || a - b);
        const expected = sorted.slice(0, k);
        expect(Array.from(candidates.ids.subarray(0, candidates.count))).toEqual(expected);
        expect(Array.from(candidates.logits.subarray(0, candidates.count))).toEqual(
          expected.map((id) => row[id]),
        );
      },
    ),
  );
});

it("can be used again for another row", () => {
  const candidates = new Candidates(2);
  candidates.select(Float32Array.of(5, 1, 3), 2);
  candidates.select(Float32Array.of(0, 9, 3), 2);
  expect(Array.from(candidates.ids)).toEqual([1, 2]);
});

/** Downwards; unlike a difference it can compare two infinities. */
function order(a: number, b: number): number {
  return a === b ? 0 : b > a ? 1 : -1;
}
