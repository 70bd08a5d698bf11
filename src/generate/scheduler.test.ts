import { expect, it } from "vitest";
import { type Job, rowsOfStep } from "./scheduler.ts";

const job = (length: number, done = 0, rowLimit = 128): Job => ({
  ids: new Array<number>(length).fill(1),
  done,
  rowLimit,
});
const counts = (jobs: readonly Job[], capacity = 128, mixed = 32) =>
  rowsOfStep(jobs, capacity, mixed).map((share) => [jobs.indexOf(share.job), share.count]);

it("gives a prompt alone the whole step", () => {
  expect(counts([job(500)])).toEqual([[0, 128]]);
  expect(counts([job(500, 450)])).toEqual([[0, 50]]);
});

it("lets every decoding sequence go on, and prompts take what is left", () => {
  expect(counts([job(500), job(1), job(300, 299)])).toEqual([
    [1, 1],
    [2, 1],
    [0, 30],
  ]);
});

it("serves prompts in the order of their coming", () => {
  expect(counts([job(100), job(100)])).toEqual([
    [0, 100],
    [1, 28],
  ]);
});

it("keeps to the rows that a job can have", () => {
  expect(counts([job(500, 0, 64), job(500)])).toEqual([
    [0, 64],
    [1, 64],
  ]);
});

it("never takes more decoding sequences than there are rows", () => {
  expect(
    counts(
      Array.from({ length: 10 }, () => job(1)),
      4,
    ),
  ).toHaveLength(4);
});

it("takes checked guesses for decoding: a prompt before them does not hold them up", () => {
  expect(counts([job(500), job(8, 0, 64)])).toEqual([
    [1, 8],
    [0, 24],
  ]);
});

it("gives prompts a few rows however many sequences decode", () => {
  const decoding = Array.from({ length: 100 }, () => job(1));
  const shares = rowsOfStep([...decoding, job(500)], 128, 32, 64);
  expect(shares.at(-1)).toMatchObject({ count: 8 });
  expect(shares).toHaveLength(57);
  expect(counts([...decoding.slice(0, 31), job(500)]).at(-1)).toEqual([31, 8]);
});
