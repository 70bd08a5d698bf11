/** A slice of the fuzzer: `npx node scripts/fuzz.ts` runs as many files as one likes. */
import { describe, expect, it } from "vitest";
import { mutantOf } from "../../scripts/fuzz/mutate.ts";
import { runMutants, runOnce } from "../../scripts/fuzz/run.ts";
import { fuzzTargets } from "../../scripts/fuzz/targets/all.ts";
import { CriaError } from "../../src/shared/errors.ts";

describe.each(fuzzTargets)("broken files: $name", (target) => {
  it("seeds are read without an error", async () => {
    for (const seed of await target.seeds()) await target.run(seed);
  });

  it("300 mutants give a CriaError or are read", async () => {
    const { findings, acceptedCount } = await runMutants(target, { seed: 1, first: 0, count: 300 });
    expect(findings).toEqual([]);
    // Mutants that are all refused, or all read, would test nothing.
    expect(acceptedCount).toBeLessThan(300);
  });
});

describe("the fuzzer", () => {
  const seeds = [new Uint8Array(64), new Uint8Array(100).fill(7)];

  it("makes the same mutant again, and others at other numbers", () => {
    const mutants = Array.from({ length: 50 }, (_, index) => mutantOf(seeds, ["token"], 1, index).join());
    expect(Array.from({ length: 50 }, (_, index) => mutantOf(seeds, ["token"], 1, index).join())).toEqual(
      mutants,
    );
    expect(new Set(mutants).size).toBeGreaterThan(40);
    expect(seeds[0]).toEqual(new Uint8Array(64));
  });

  it.each([
    ["another error", () => Promise.reject(new TypeError("x is undefined")), "error"],
    ["something that is no error", () => Promise.reject("text"), "error"],
    [
      "much memory",
      async () => {
        held.push(new Uint8Array(80 << 20));
      },
      "memory",
    ],
    [
      "much time",
      async () => {
        const end = performance.now() + 1100;
        while (performance.now() < end);
      },
      "slow",
    ],
  ])("finds %s", async (_what, run, kind) => {
    expect(await runOnce({ name: "x", seeds: () => seeds, run }, seeds[0]!)).toMatchObject({ kind });
    held.length = 0;
  });
  const held: Uint8Array[] = [];

  it("counts a CriaError as a proper answer", async () => {
    const run = () => Promise.reject(new CriaError("bad-file", "broken"));
    expect(await runOnce({ name: "x", seeds: () => seeds, run }, seeds[0]!)).toBe("refused");
  });
});
