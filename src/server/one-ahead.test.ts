import { expect, it } from "vitest";
import { oneAhead } from "./one-ahead.ts";

function counting(length: number, failsAt = -1) {
  const made: number[] = [];
  let isEnded = false;
  async function* numbers(): AsyncGenerator<number, void> {
    try {
      for (let number = 0; number < length; number++) {
        await Promise.resolve();
        if (number === failsAt) throw new Error(`no ${number}`);
        made.push(number);
        yield number;
      }
    } finally {
      isEnded = true;
    }
  }
  return { made, source: numbers(), isEnded: () => isEnded };
}

it("gives the same items, and makes one more than was asked for", async () => {
  const { made, source, isEnded } = counting(4);
  const seen: [number, number][] = [];
  for await (const item of oneAhead(source)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push([item, made.length]);
  }
  expect(seen).toEqual([
    [0, 2],
    [1, 3],
    [2, 4],
    [3, 4],
  ]);
  expect(isEnded()).toBe(true);
});

it("ends the generator when it is left, after the item that is being made", async () => {
  const { made, source, isEnded } = counting(10);
  for await (const item of oneAhead(source)) if (item === 2) break;
  expect([made.length, isEnded()]).toEqual([4, true]);
});

it("gives what was made before a failure, then fails", async () => {
  const { source } = counting(10, 2);
  const seen: number[] = [];
  const read = async () => {
    for await (const item of oneAhead(source)) seen.push(item);
  };
  await expect(read()).rejects.toThrow("no 2");
  expect(seen).toEqual([0, 1]);
});
