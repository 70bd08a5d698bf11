/** The CPU device against the reference device, op by op. */
import { afterAll, describe, expect, it } from "vitest";
import { sourceHash } from "../../scripts/build-wasm.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES } from "../../src/devices/wasm/kernels/codes.ts";
import { sourceHash as builtFrom } from "../../src/devices/wasm/kernels.generated.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import { expectEqualToReference, expectOneRowEqualsMany, expectRecordedEqualsEager } from "./harness.ts";
import { allCases, runCase } from "./run-case.ts";

const device = await createWasmDevice();
afterAll(() => device.dispose());

it("is built from its sources (npm run build:wasm)", () => {
  expect(builtFrom).toBe(sourceHash());
});

describe.each(allCases)("$op: $name", ({ op, name }) => {
  it("equals the reference", () => expectEqualToReference(device, op, name));
  it("recorded equals eager", () => expectRecordedEqualsEager(device, op, name));
  it("one row equals many", () => expectOneRowEqualsMany(device, op, name));
});

describe("without relaxed SIMD", async () => {
  const plain = await createWasmDevice({ relaxedSimd: false });
  afterAll(() => plain.dispose());

  it.each(allCases)("equals the reference: $op: $name", ({ op, name }) =>
    expectEqualToReference(plain, op, name),
  );
});

describe("without shared memory", async () => {
  const alone = await createWasmDevice({ shared: false });
  afterAll(() => alone.dispose());

  it.each(allCases)("gives the same bits: $op: $name", async ({ op, name }) => {
    expect(await runCase(alone, op, name)).toEqual(await runCase(device, op, name));
  });
});

describe.each([1, 2, 4])("%i worker threads", async (threadCount) => {
  const threaded = await createWasmDevice({ startThread, threadCount, smallWork: 0 });
  afterAll(() => threaded.dispose());

  it.each(allCases)("give the same bits: $op: $name", async ({ op, name }) => {
    expect(await runCase(threaded, op, name)).toEqual(await runCase(device, op, name));
  });
});

describe.each([SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES])("summing in way %i", async (mode) => {
  const other = await createWasmDevice({ mode }).catch(() => undefined);
  if (!other) console.log(`skipped: this processor does not sum exactly in way ${mode}`);
  afterAll(() => other?.dispose());

  const products = allCases.filter(({ op }) => op === "matmul");
  it.skipIf(!other).each(products)("gives the same bits: $name", async ({ op, name }) => {
    if (other) expect(await runCase(other, op, name)).toEqual(await runCase(device, op, name));
  });
});

describe("many streams of weights", async () => {
  const many = await createWasmDevice({ startThread, threadCount: 2, smallWork: 0, manyStreams: true });
  const few = await createWasmDevice({ startThread, threadCount: 2, smallWork: 0, manyStreams: false });
  afterAll(() => {
    many.dispose();
    few.dispose();
  });

  it.each(allCases.filter(({ op }) => op === "matmul"))(
    "gives the same bits: $name",
    async ({ op, name }) => {
      expect(await runCase(many, op, name)).toEqual(await runCase(few, op, name));
    },
  );
});
