import fc from "fast-check";
import { expect, test } from "vitest";
import { learnMerges } from "./train-merges.ts";

type Words = readonly (readonly [codes: readonly number[], count: number])[];

const characters = [97, 98, 99];

/** The same by counting everything anew for every merge. */
function plainly(words: Words, count: number, maxPieceLength: number): string[] {
  const texts = characters.map((code) => String.fromCodePoint(code));
  let lists = words.map(([codes]) => codes.map((code) => String.fromCodePoint(code)));
  const merge = (left: string, right: string): void => {
    lists = lists.map((list) => {
      const merged: string[] = [];
      for (let i = 0; i < list.length; i++)
        if (list[i] === left && list[i + 1] === right) {
          merged.push(left + right);
          i++;
        } else merged.push(list[i]!);
      return merged;
    });
  };
  const learned: string[] = [];
  for (;;) {
    const counts = new Map<string, { left: string; right: string; count: number }>();
    for (const [index, list] of lists.entries())
      for (let i = 1; i < list.length; i++) {
        const [left, right] = [list[i - 1]!, list[i]!];
        if (left.length + right.length > maxPieceLength) continue;
        const pair = counts.get(`${left} ${right}`) ?? { left, right, count: 0 };
        pair.count += words[index]![1];
        counts.set(`${left} ${right}`, pair);
      }
    const [best] = [...counts.values()].sort(
      (a, b) =>
        b.count - a.count ||
        a.left.length + a.right.length - b.left.length - b.right.length ||
        texts.indexOf(a.left) - texts.indexOf(b.left) ||
        texts.indexOf(a.right) - texts.indexOf(b.right),
    );
    if (!best || learned.length === count) return learned;
    const text = best.left + best.right;
    const isNew = !texts.includes(text);
    if (isNew) {
      texts.push(text);
      learned.push(text);
    }
    merge(best.left, best.right);
    for (let cut = 1; isNew && cut < text.length; cut++)
      if (texts.includes(text.slice(0, cut)) && texts.includes(text.slice(cut)))
        merge(text.slice(0, cut), text.slice(cut));
  }
}

test("merges learned with running counts are those learned by counting anew", async () => {
  const word = fc.array(fc.constantFrom(...characters), { minLength: 2, maxLength: 12 });
  const words = fc.array(fc.tuple(word, fc.integer({ min: 1, max: 5 })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(words, fc.integer({ min: 1, max: 20 }), async (list, count) => {
      const options = { characters, count, maxPieceLength: 6, reserved: new Set<string>() };
      const learned = await learnMerges(list, { ...options, onProgress: async () => {} });
      expect(learned).toEqual(plainly(list, count, 6));
    }),
    { numRuns: 500 },
  );
});

test("a reserved name is never learned", async () => {
  const options = { characters, count: 3, maxPieceLength: 6, reserved: new Set(["ab"]) };
  const learned = await learnMerges([[[97, 98, 99], 5]], { ...options, onProgress: async () => {} });
  expect(learned).toEqual(["bc", "abc"]);
});
