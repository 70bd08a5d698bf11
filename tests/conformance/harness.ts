/**
 * Runs the cases on a device and compares: with the reference device (normalised squared error, as ggml's
 * test-backend-ops), recorded with eager, and one row with many (to the bit).
 */
import { expect } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import type { OpArgs, OpName } from "../../src/ops/index.ts";
import type { Device } from "../../src/tensor/device.ts";
import { isPacked } from "../../src/tensor/format.ts";
import { halfToFloat } from "../../src/tensor/half.ts";
import { rowView, type Tensor } from "../../src/tensor/tensor.ts";
import { Place } from "./place.ts";
import { caseOf, runCase } from "./run-case.ts";

/** Σ (a − b)² / Σ b²: f32 sums of a few hundred terms stay below 10⁻¹². */
const ERROR_MAXIMUM = 1e-10;

export async function expectEqualToReference(device: Device, op: OpName, name: string): Promise<void> {
  const reference = createReferenceDevice();
  const { outputs } = await caseOf(op, name).setup(new Place(reference));
  const wanted = await runCase(reference, op, name);
  const actual = await runCase(device, op, name);
  actual.forEach((bytes, index) => {
    const { format } = outputs[index];
    expect(bytes.length).toBe(wanted[index].length);
    // Packed blocks are rounded, and the same everywhere.
    if (format === "I32" || isPacked(format)) {
      expect(bytes).toEqual(wanted[index]);
      return;
    }
    expect(squaredError(valuesOf(bytes, format), valuesOf(wanted[index], format))).toBeLessThan(
      ERROR_MAXIMUM,
    );
  });
}

export async function expectRecordedEqualsEager(device: Device, op: OpName, name: string): Promise<void> {
  const eager = await runCase(device, op, name);
  const place = new Place(device);
  const { args, outputs } = await caseOf(op, name).setup(place);
  device.replay(device.record(() => device.run(op, args as OpArgs[OpName])));
  expect(await Promise.all(outputs.map((tensor) => place.read(tensor)))).toEqual(eager);
}

/** Arguments with a row for each token, and lists with an entry for each. */
const ROW_ARGUMENTS = new Set([
  ...["x", "q", "y", "gate", "up", "logits", "residual", "ids"],
  ...["dy", "dGate", "dUp", "dLogits"],
]);
const LIST_ARGUMENTS = new Set(["tokens", "positions", "sequences", "targets", "seeds", "rows"]);

/** Ops whose rows see each other, or that sum over them. */
const ROWS_TOGETHER = new Set<OpName>([
  ...(["packedAttention", "packedAttentionGrad", "dropout"] as const),
  ...(["embedGrad", "rmsNormGrad", "matmulGrad"] as const),
]);

/** Runs a case once for each row alone. Ops that know no rows in use are left out, and those of ROWS_TOGETHER. */
export async function expectOneRowEqualsMany(device: Device, op: OpName, name: string): Promise<void> {
  if (ROWS_TOGETHER.has(op)) return;
  const place = new Place(device);
  const { args, outputs } = await caseOf(op, name).setup(place);
  if (!("count" in args)) return;
  const rows = new Int32Array((await place.read(args.count)).buffer)[0];
  const together = await runCase(device, op, name);
  for (let t = 0; t < rows; t++) {
    const alone = Object.entries(args).map(([key, value]) => {
      if (key === "count") return [key, place.count(1)];
      if (LIST_ARGUMENTS.has(key)) return [key, from(value as Tensor, t)];
      // copy gathers from all rows of x.
      if (ROW_ARGUMENTS.has(key) && !(op === "copy" && key === "x"))
        return [key, rowView(value as Tensor, t, 1)];
      return [key, value];
    });
    device.run(op, Object.fromEntries(alone) as OpArgs[OpName]);
  }
  expect(await Promise.all(outputs.map((tensor) => place.read(tensor)))).toEqual(together);
}

/** A list of a step from its entry t on. */
function from(list: Tensor, t: number): Tensor {
  if (list.columns === 1 && list.rows > 1) return rowView(list, t, 1);
  return { ...list, byteOffset: list.byteOffset + 4 * t, columns: list.columns - t };
}

function valuesOf(bytes: Uint8Array, format: Tensor["format"]): number[] {
  const buffer = bytes.slice().buffer;
  if (format === "F32") return [...new Float32Array(buffer)];
  return [...new Uint16Array(buffer)].map(halfToFloat);
}

function squaredError(actual: readonly number[], wanted: readonly number[]): number {
  let error = 0;
  let size = 0;
  wanted.forEach((value, index) => {
    if (Object.is(value, actual[index])) return;
    error += (value - actual[index]) ** 2;
    size += value ** 2;
  });
  // Equal to the bit, or nothing but zeros wanted.
  return error === 0 ? 0 : error / size;
}
