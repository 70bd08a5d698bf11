/** Where the rows of a weight are read to. */
import { expect, it } from "vitest";
import type { Device, WeightPart } from "../../tensor/device.ts";
import { denseTensor, type Tensor } from "../../tensor/tensor.ts";
import { createWasmDevice } from "./device.ts";

const [ROWS, COLUMNS] = [19, 12];
const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, index) => index + 0.5);
const stored = new Uint8Array(values.buffer);

function part(readRows: WeightPart["readRows"]): WeightPart {
  return { format: "F32", rows: ROWS, columns: COLUMNS, readRows };
}

function rowsOf(first: number, count: number): Uint8Array {
  return stored.slice(4 * first * COLUMNS, 4 * (first + count) * COLUMNS);
}

async function valuesOf(device: Device, x: Tensor): Promise<Float32Array> {
  const y = denseTensor(device.allocate(4 * ROWS * COLUMNS), 0, ROWS, COLUMNS, "F32");
  device.run("convert", { x, y });
  return new Float32Array((await device.read(y.memory)).slice().buffer);
}

it.each([true, false])(
  "rows are read into the device's memory, if it is shared (%s), or copied",
  async (shared) => {
    const device = await createWasmDevice({ shared });
    let sharedRoom: boolean | undefined;
    const inPlace = part(async (first, count, into) => {
      sharedRoom = into?.buffer instanceof SharedArrayBuffer;
      into?.set(rowsOf(first, count));
      return into?.subarray(0, 4 * count * COLUMNS) as Uint8Array;
    });
    expect(await valuesOf(device, await device.loadWeight!([inPlace]))).toEqual(values);
    expect(sharedRoom).toBe(shared);
    const elsewhere = part(async (first, count) => rowsOf(first, count));
    expect(await valuesOf(device, await device.loadWeight!([elsewhere]))).toEqual(values);
    device.dispose();
  },
);

it("what is still being read when the device is disposed spoils no later device", async () => {
  const device = await createWasmDevice();
  const reading = Promise.withResolvers<Uint8Array>();
  const goOn = Promise.withResolvers<void>();
  const loading = device.loadWeight!([
    part(async (_first, _count, into) => {
      reading.resolve(into as Uint8Array);
      await goOn.promise;
      return into as Uint8Array;
    }),
  ]);
  const into = await reading.promise;
  device.dispose();
  const next = await createWasmDevice();
  const memory = next.allocate(1 << 20);
  into.fill(255);
  expect((await next.read(memory)).every((byte) => byte === 0)).toBe(true);
  goOn.resolve();
  await expect(loading).rejects.toThrow("disposed");
  next.dispose();
});
