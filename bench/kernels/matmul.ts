/**
 * Speed of matmul on the CPU device: `node bench/kernels/matmul.ts [threads] [format …]`.
 *
 * Decode (1 row) runs over more weights than caches hold and reports GB/s of weights as stored, from few streams and
 * from many; prefill (128 rows) reports GMAC/s. Medians of five runs after one that warms up.
 */
import { cpus } from "node:os";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { Device } from "../../src/tensor/device.ts";
import { rowBytes, type TensorFormat, tensorFormats } from "../../src/tensor/format.ts";
import { denseTensor, type Tensor } from "../../src/tensor/tensor.ts";

const COLUMNS = 2048;
const ROWS = 5632;
/** Matrices that one decode run goes through, at least this many bytes. */
const DECODE_BYTES = 192 << 20;
const PREFILL_ROWS = 128;

const threadCount = Number(process.argv[2] ?? 2);
const chosen = process.argv.slice(3) as TensorFormat[];
const formats = chosen.length > 0 ? chosen : tensorFormats.filter((format) => format !== "I32");

console.log(`${cpus()[0].model}, Node ${process.version}, ${threadCount} threads`);
console.log("format    few streams   many streams, GB/s   prefill GMAC/s   load MB/s");
for (const format of formats) {
  const results: number[][] = [];
  for (const manyStreams of [false, true]) {
    const device = await createWasmDevice({ startThread, threadCount, manyStreams });
    results.push(await measure(device, format));
    device.dispose();
  }
  const [[decode, prefill, load], [decodeOfMany]] = results;
  const line = [decode, decodeOfMany, prefill, load].map((value) => value.toFixed(1).padStart(11));
  console.log(format.padEnd(9) + line.join("    "));
}

async function measure(device: Device, format: TensorFormat): Promise<number[]> {
  const bytes = ROWS * rowBytes(format, COLUMNS);
  const matrixCount = Math.ceil(DECODE_BYTES / bytes);
  const loadStart = performance.now();
  const matrices: Tensor[] = [];
  for (let i = 0; i < matrixCount; i++) matrices.push(await loadZeros(device, format));
  const loadSeconds = (performance.now() - loadStart) / 1000;

  const allocate = (rows: number, columns: number) =>
    denseTensor(device.allocate(4 * rows * columns), 0, rows, columns, "F32");
  const [x, y] = [allocate(PREFILL_ROWS, COLUMNS), allocate(PREFILL_ROWS, ROWS)];
  const count = denseTensor(device.allocate(4), 0, 1, 1, "I32");
  const secondsOf = async (rows: number, used: readonly Tensor[]) => {
    device.write(count.memory, new Uint8Array(Int32Array.of(rows).buffer));
    const plan = device.record(() => {
      for (const w of used) device.run("matmul", { x, w, y, count });
    });
    const times: number[] = [];
    for (let run = 0; run < 6; run++) {
      const start = performance.now();
      device.replay(plan);
      await device.read(count.memory);
      times.push((performance.now() - start) / 1000);
    }
    return times.slice(1).sort((a, b) => a - b)[2];
  };
  const decode = (matrixCount * bytes) / (await secondsOf(1, matrices)) / 1e9;
  const products = PREFILL_ROWS * ROWS * COLUMNS * 2;
  const prefill = products / (await secondsOf(PREFILL_ROWS, matrices.slice(0, 2))) / 1e9;
  return [decode, prefill, (matrixCount * bytes) / loadSeconds / 1e6];
}

/** Speed depends on shape and format, not on values. */
async function loadZeros(device: Device, format: TensorFormat): Promise<Tensor> {
  const readRows = async (_: number, rowCount: number) =>
    new Uint8Array(rowCount * rowBytes(format, COLUMNS));
  const part = { format, rows: ROWS, columns: COLUMNS, readRows };
  if (!device.loadWeight) throw new Error("the CPU device loads weights");
  return device.loadWeight([part]);
}
