import fc from "fast-check";
import { expect, it } from "vitest";
import { Random } from "./random.ts";
import { type ResolvedSampling, resolveSampling, Sampler, type SamplingOptions } from "./sampler.ts";

const off: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };

/** Logits in steps of 1/8, so that ties happen and sums of exponentials are well apart. */
const rows = fc
  .array(fc.integer({ min: -40, max: 40 }), { minLength: 2, maxLength: 50 })
  .map((values) => Float32Array.from(values, (value) => value / 8));

/** The probabilities after all steps, written straight from their definitions. */
function naiveDistribution(
  row: Float32Array,
  options: ResolvedSampling,
  recent: readonly number[],
): Map<number, number> {
  const logits = Array.from(row, (logit, id) => Math.fround(logit + (options.logitBias.get(id) ?? 0)));
  const { repeatLastN } = options;
  const window =
    repeatLastN < 0 ? recent : recent.slice(recent.length - Math.min(repeatLastN, recent.length));
  for (const id of new Set(window)) {
    const count = window.filter((other) => other === id).length;
    const scaled = logits[id] > 0 ? logits[id] / options.repeatPenalty : logits[id] * options.repeatPenalty;
    logits[id] = scaled - count * options.frequencyPenalty - options.presencePenalty;
  }
  const rounded = logits.map(Math.fround);
  let ids = rounded.map((_, id) => id).sort((a, b) => rounded[b] - rounded[a] || a - b);
  if (options.topK > 0) ids = ids.slice(0, options.topK);
  const softmax = (temperature: number) => {
    const weights = ids.map((id) => Math.exp((rounded[id] - rounded[ids[0]]) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  };
  if (options.topP < 1) {
    const probabilities = softmax(1);
    ids = ids.filter((_, place) => sumOf(probabilities.slice(0, place)) < options.topP || place === 0);
  }
  if (options.minP > 0) ids = ids.filter((id) => rounded[id] >= rounded[ids[0]] + Math.log(options.minP));
  const probabilities = softmax(options.temperature);
  return new Map(ids.map((id, place) => [id, probabilities[place]]));
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0);

const settings = fc.record({
  temperature: fc.constantFrom(0.3, 1, 2),
  topK: fc.constantFrom(0, 1, 5, 40),
  topP: fc.constantFrom(0.1, 0.77, 0.951, 1),
  minP: fc.constantFrom(0, 0.051, 0.52),
  repeatPenalty: fc.constantFrom(1, 1.3),
  repeatLastN: fc.constantFrom(-1, 0, 3, 64),
  frequencyPenalty: fc.constantFrom(0, 0.37),
  presencePenalty: fc.constantFrom(0, 1.21),
  seed: fc.nat(),
});

it("draws what the definitions of the steps say, for the same random number", () => {
  fc.assert(
    fc.property(
      rows,
      settings,
      fc.array(fc.nat({ max: 49 }), { maxLength: 12 }),
      (row, setting, accepted) => {
        const options = resolveSampling({ ...setting, logitBias: { 0: 0.7, 1: -Infinity } });
        const sampler = new Sampler(options, row.length);
        const recent = accepted.map((id) => id % row.length);
        for (const id of recent) sampler.accept(id);
        const distribution = naiveDistribution(row, options, recent);
        const drawn = Array.from({ length: 5 }, () => sampler.sample(row));
        for (const id of drawn) expect(distribution.get(id) ?? 0).toBeGreaterThan(0);
        if (options.topK === 0 && options.topP === 1 && options.minP === 0) return; // drawn in the order of ids
        const random = new Random(options.seed);
        for (const id of drawn) {
          const u = random.next();
          const place = [...distribution.keys()].indexOf(id);
          const before = sumOf([...distribution.values()].slice(0, place));
          expect(before).toBeLessThanOrEqual(u + 1e-9);
          expect(before + (distribution.get(id) ?? 0)).toBeGreaterThanOrEqual(u - 1e-9);
        }
      },
    ),
    { numRuns: 500 },
  );
});

it("follows the distribution in the long run, with and without filters", () => {
  const row = Float32Array.from({ length: 100 }, (_, id) => Math.sin(id) * 3);
  for (const extra of [{}, { topK: 12, temperature: 0.7 }, { topP: 0.6, temperature: 1.5 }, { minP: 0.3 }]) {
    const options = resolveSampling({ ...off, ...extra });
    const sampler = new Sampler(options, row.length);
    const expected = naiveDistribution(row, options, []);
    const draws = 20_000;
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const id = sampler.sample(row);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (const [id, p] of expected) chiSquare += ((counts.get(id) ?? 0) - draws * p) ** 2 / (draws * p);
    const freedom = expected.size - 1;
    expect(chiSquare).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
    expect([...counts.keys()].every((id) => expected.has(id))).toBe(true);
  }
});

it("sorts as far as top-p needs in a large vocabulary", () => {
  const row = new Float32Array(20_000); // uniform: 0.95 needs 19,000 tokens
  const sampler = new Sampler(resolveSampling({ ...off, topP: 0.95 }), row.length);
  const ids = Array.from({ length: 20 }, () => sampler.sample(row));
  expect(Math.max(...ids)).toBeLessThan(19_001);
  expect(new Set(ids).size).toBeGreaterThan(15);
});

it("repeats its draws for a seed", () => {
  const row = Float32Array.from({ length: 100 }, (_, id) => Math.cos(id));
  const take = (seed: number) => {
    const sampler = new Sampler(resolveSampling({ seed }), row.length);
    return Array.from({ length: 30 }, () => sampler.sample(row));
  };
  expect(take(11)).toEqual(take(11));
  expect(take(11)).not.toEqual(take(12));
});

it("is greedy at temperature 0, after bias and penalties, and takes the lowest id on a tie", () => {
  const row = Float32Array.of(1, 3, 3, 2.9);
  const greedy = (options: SamplingOptions, ...recent: number[]) => {
    const sampler = new Sampler(resolveSampling({ temperature: 0, ...options }), row.length);
    for (const id of recent) sampler.accept(id);
    return sampler.sample(row);
  };
  expect(greedy({})).toBe(1);
  expect(greedy({ logitBias: { 3: 0.2 } })).toBe(3);
  expect(greedy({ logitBias: { 1: false, 2: false } })).toBe(3);
  expect(greedy({ repeatPenalty: 2 }, 1, 2)).toBe(3);
  expect(greedy({ presencePenalty: 0.5 }, 1)).toBe(2);
});

it("forgets tokens that left the window of the penalties", () => {
  const sampler = new Sampler(resolveSampling({ temperature: 0, presencePenalty: 1, repeatLastN: 2 }), 3);
  const row = Float32Array.of(1, 0.5, 0.2);
  sampler.accept(0);
  sampler.accept(0);
  expect(sampler.sample(row)).toBe(1);
  sampler.accept(1);
  expect(sampler.sample(row)).toBe(2);
  sampler.accept(1);
  expect(sampler.sample(row)).toBe(0);
});

it("takes the only token that is not ruled out, and leaves the caller's logits alone", () => {
  const row = new Float32Array(50).fill(-Infinity);
  row[17] = -1000;
  const before = row.slice();
  const sampler = new Sampler(resolveSampling({ repeatPenalty: 1.5, logitBias: { 17: -5 } }), 50);
  sampler.accept(17);
  for (let i = 0; i < 10; i++) expect(sampler.sample(row)).toBe(17);
  expect(row).toEqual(before);
});

it.each([
  ["NaN", Float32Array.of(0, Number.NaN, 0)],
  ["+Infinity", Float32Array.of(0, 0, Infinity)],
  ["nothing left", Float32Array.of(-Infinity, -Infinity, -Infinity)],
  ["a short row", Float32Array.of(0, 0)],
])("refuses %s", (_, row) => {
  const badInput = expect.objectContaining({ code: "bad-input" });
  for (const temperature of [0, 1])
    expect(() => new Sampler(resolveSampling({ temperature }), 3).sample(row)).toThrow(badInput);
});

it("refuses ids outside the vocabulary", () => {
  const badInput = expect.objectContaining({ code: "bad-input" });
  expect(() => new Sampler(resolveSampling({ logitBias: { 3: 1 } }), 3)).toThrow(badInput);
  expect(() => new Sampler(resolveSampling(), 3).accept(3)).toThrow(badInput);
});

it("has llama.cpp's defaults", () => {
  const { seed, ...rest } = resolveSampling();
  expect(rest).toEqual({
    temperature: 0.8,
    topK: 40,
    topP: 0.95,
    minP: 0.05,
    repeatPenalty: 1,
    repeatLastN: 64,
    frequencyPenalty: 0,
    presencePenalty: 0,
    logitBias: new Map(),
  });
  expect(Number.isSafeInteger(seed)).toBe(true);
});

it("keeps what is given and treats undefined as absent", () => {
  expect(resolveSampling({ temperature: 0, topK: 0, seed: 3 })).toMatchObject({
    temperature: 0,
    topK: 0,
    seed: 3,
  });
  // JSON bodies and command lines can hold an undefined that the type does not allow.
  expect(resolveSampling({ temperature: undefined } as unknown as SamplingOptions).temperature).toBe(0.8);
});

it.each<[string, unknown]>([
  ["temperature", -0.1],
  ["temperature", Number.NaN],
  ["temperature", "0.8"],
  ["topK", 1.5],
  ["topK", -1],
  ["topP", 0],
  ["topP", 1.01],
  ["minP", -0.1],
  ["minP", 2],
  ["repeatPenalty", 0],
  ["repeatLastN", -2],
  ["frequencyPenalty", Infinity],
  ["presencePenalty", Number.NaN],
  ["seed", -1],
  ["seed", 0.5],
])("refuses %s = %s and names it", (name, value) => {
  expect(() => resolveSampling({ [name]: value } as SamplingOptions)).toThrow(
    expect.objectContaining({ code: "bad-input", message: expect.stringContaining(`${name}: expected`) }),
  );
});

it("reads biases from a map or a record, and false as a ban", () => {
  const expected = new Map([
    [3, 1.5],
    [4, -Infinity],
  ]);
  expect(resolveSampling({ logitBias: new Map<number, number | false>([[3, 1.5], [4, false]]) }).logitBias).toEqual(expected); // biome-ignore format: short
  expect(resolveSampling({ logitBias: { 3: 1.5, 4: -Infinity } }).logitBias).toEqual(expected);
  for (const logitBias of [{ x: 1 }, { 1.5: 1 }, { 1: Number.NaN }, { 1: Infinity }, { 1: "2" }])
    expect(() => resolveSampling({ logitBias } as unknown as SamplingOptions)).toThrow(/logitBias: expected/);
});

it("lets a constraint rule out tokens after bias and penalties, greedy or sampled", () => {
  const logits = Float32Array.from([5, 4, 3, 2]);
  const seen: number[][] = [];
  const constraint = {
    mask(row: Float32Array) {
      seen.push(Array.from(row));
      row[0] = Number.NEGATIVE_INFINITY;
      row[2] = Number.NEGATIVE_INFINITY;
    },
    accept() {},
    finished: false,
  };
  const bias = { 1: -3 };
  const greedy = new Sampler(resolveSampling({ temperature: 0, logitBias: bias }), 4, constraint);
  expect(greedy.sample(logits)).toBe(3);
  expect(seen).toEqual([[5, 1, 3, 2]]);
  const drawn = new Sampler(resolveSampling(off), 4, constraint);
  for (let i = 0; i < 50; i++) expect([1, 3]).toContain(drawn.sample(logits));
  expect(Array.from(logits)).toEqual([5, 4, 3, 2]);
});
