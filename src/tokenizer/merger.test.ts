import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeSymbols, PairTable, unknownSymbol } from "./merger.ts";

type Rule = readonly [left: number, right: number, rank: number, merged: number];

/** The definition: look at every pair, join the best, start again. */
function mergeNaively(input: readonly number[], rules: readonly Rule[]): number[] {
  const symbols = [...input];
  for (;;) {
    let best: { index: number; rule: Rule } | undefined;
    for (let index = 0; index + 1 < symbols.length; index++) {
      const rule = rules.find(([left, right]) => left === symbols[index] && right === symbols[index + 1]);
      if (rule && (!best || rule[2] < best.rule[2])) best = { index, rule };
    }
    if (!best) return symbols;
    symbols.splice(best.index, 2, best.rule[3]);
  }
}

function tableOf(rules: readonly Rule[]): PairTable {
  const table = new PairTable();
  for (const rule of rules) table.add(...rule);
  return table;
}

const symbol = fc.integer({ min: 0, max: 5 });
const ruleList = fc.array(fc.tuple(symbol, symbol, fc.integer({ min: 0, max: 6 }), symbol), {
  maxLength: 20,
});

test("merging equals its definition, in short words and long ones, whatever the order of ranks", () => {
  const words = fc.array(fc.oneof(symbol, fc.constant(unknownSymbol)), { maxLength: 120 });
  fc.assert(
    fc.property(words, ruleList, (word, rules) => {
      const symbols = Int32Array.from(word);
      const count = mergeSymbols(symbols, word.length, tableOf(rules));
      expect([...symbols.subarray(0, count)]).toEqual(mergeNaively(word, rules));
    }),
    { numRuns: 500 },
  );
});

test("equal ranks merge from the left", () => {
  const table = tableOf([[1, 1, 0, 2]]);
  for (const length of [5, 101]) {
    const symbols = new Int32Array(length).fill(1);
    const count = mergeSymbols(symbols, length, table);
    expect([...symbols.subarray(0, count)]).toEqual([...new Array((length - 1) / 2).fill(2), 1]);
  }
});

test("a table finds every pair it was given, and the first value of one given twice", () => {
  const table = new PairTable(2);
  for (let left = 0; left < 50; left++)
    for (let right = 0; right < 50; right++) table.add(left, right, left, right);
  table.add(3, 4, 99, 99);
  for (let left = 0; left < 50; left++)
    for (let right = 0; right < 50; right++) {
      const at = table.find(left, right);
      expect([table.rankAt(at), table.mergedAt(at)]).toEqual([left, right]);
    }
  expect(table.find(50, 0)).toBe(-1);
});

test("a word of a million symbols takes seconds, not hours", () => {
  const table = tableOf([
    [0, 1, 1, 2],
    [1, 0, 2, 3],
    [2, 2, 0, 4],
    [4, 4, 3, 5],
  ]);
  const seconds = (length: number) => {
    const symbols = Int32Array.from({ length }, (_, index) => ((index * 7919) % 13) % 2);
    const start = performance.now();
    mergeSymbols(symbols, length, table);
    return (performance.now() - start) / 1000;
  };
  // Quadratic work would be 10¹² steps.
  expect(seconds(1_000_000)).toBeLessThan(5);
});
