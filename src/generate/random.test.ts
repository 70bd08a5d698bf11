import fc from "fast-check";
import { expect, it } from "vitest";
import { Random } from "./random.ts";

it("is xoshiro128**: the published outputs for the state 1, 2, 3, 4", () => {
  const random = Random.from([1, 2, 3, 4]);
  const outputs = Array.from({ length: 10 }, () => random.nextInteger());
  expect(outputs).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

it("repeats its sequence for a seed, and another seed gives another one", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (one, other) => {
      const take = (seed: number) => {
        const random = new Random(seed);
        return [random.next(), random.next(), random.next()];
      };
      expect(take(one)).toEqual(take(one));
      if (one !== other) expect(take(one)).not.toEqual(take(other));
    }),
  );
  expect(new Random(5).next()).not.toBe(new Random(5 + 2 ** 32).next());
});

it("continues from a saved state", () => {
  const random = new Random(7);
  random.next();
  const continued = Random.from(random.state);
  expect([continued.next(), continued.next()]).toEqual([random.next(), random.next()]);
});

it("is uniform in [0, 1): moments, 16 bins, and neighbours that do not depend on each other", () => {
  const random = new Random(42);
  const count = 200_000;
  const bins = new Array<number>(16).fill(0);
  let sum = 0;
  let squares = 0;
  let products = 0;
  let last = 0.5;
  for (let i = 0; i < count; i++) {
    const u = random.next();
    if (!(u >= 0 && u < 1)) throw new Error(`${u} is outside [0, 1)`);
    bins[Math.floor(u * 16)]++;
    sum += u;
    squares += u * u;
    products += (u - 0.5) * (last - 0.5);
    last = u;
  }
  expect(sum / count).toBeCloseTo(1 / 2, 2);
  expect(squares / count).toBeCloseTo(1 / 3, 2);
  expect(Math.abs(products / count)).toBeLessThan(0.001);
  const chiSquare = bins.reduce((total, n) => total + (n - count / 16) ** 2 / (count / 16), 0);
  expect(chiSquare).toBeLessThan(37.7); // 15 degrees of freedom, one in a thousand
});

it("gives unrelated first numbers to neighbouring seeds", () => {
  let sum = 0;
  for (let seed = 0; seed < 10_000; seed++) sum += new Random(seed).next();
  expect(sum / 10_000).toBeCloseTo(0.5, 1);
});

it("refuses seeds and states it cannot use", () => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 53])
    expect(() => new Random(seed)).toThrow(expect.objectContaining({ code: "bad-input" }));
  expect(() => Random.from([0, 0, 0, 0])).toThrow(expect.objectContaining({ code: "bad-input" }));
});
