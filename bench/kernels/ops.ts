/**
 * Speed of the CPU device's ops on one thread: `node bench/kernels/ops.ts [pattern]`.
 *
 * Attention at two depths of context for the shapes of known models and both formats of the cache, and the small ops of a
 * decode step. Times are of the thread's processor, so that other work on the machine disturbs them less; medians of seven
 * after two that warm up. Measure what takes tens of megabytes alone, by its whole name: after another in the same process
 * it was slower by half.
 */
import { cpus } from "node:os";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { type CacheFormat, cacheFormats } from "../../src/ops/store.ts";
import type { Device } from "../../src/tensor/device.ts";
import { rowBytes, type TensorFormat } from "../../src/tensor/format.ts";
import { columnView, denseTensor, type Tensor } from "../../src/tensor/tensor.ts";

const RUNS = 9;
const WARM_UPS = 2;

interface Shape {
  readonly name: string;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headLength: number;
}

const SHAPES: readonly Shape[] = [
  { name: "1.1B", heads: 32, kvHeads: 4, headLength: 64 },
  { name: "SmolLM2", heads: 9, kvHeads: 3, headLength: 64 },
  { name: "7B", heads: 32, kvHeads: 32, headLength: 128 },
];

const pattern = process.argv[2] ?? "";
console.log(`${cpus()[0].model}, Node ${process.version}, one thread`);
for (const shape of SHAPES)
  for (const [depth, rows] of [
    [128, 1],
    [4096, 1],
    [512, 128],
    [4096, 128],
  ])
    for (const format of cacheFormats)
      await measure(`attention ${shape.name}, ${rows} rows at ${depth}, ${format}`, (device) =>
        attention(device, shape, { depth, rows, format }),
      );
for (const columns of [576, 2048, 4096]) {
  await measure(`rmsNorm ${columns}`, (device) => {
    const [x, w, y] = [1, 1, 1].map(() => tensor(device, 1, columns));
    return values(columns, () => device.run("rmsNorm", { x, w, y, epsilon: 1e-5, count: ints(device, [1]) }));
  });
  await measure(`swiglu ${columns}`, (device) => {
    const both = tensor(device, 1, 2 * columns);
    const [gate, up] = [columnView(both, 0, columns), columnView(both, columns, columns)];
    const y = tensor(device, 1, columns);
    return values(columns, () => device.run("swiglu", { gate, up, y, count: ints(device, [1]) }));
  });
}

interface Work {
  readonly body: () => void;
  /** Multiplications, or values. */
  readonly amount: number;
  readonly unit: "GMAC/s" | "Gvalues/s";
}

function values(amount: number, body: () => void): Work {
  return { body, amount, unit: "Gvalues/s" };
}

interface Context {
  readonly depth: number;
  readonly rows: number;
  readonly format: CacheFormat;
}

function attention(device: Device, { heads, kvHeads, headLength }: Shape, context: Context): Work {
  const { depth, rows, format } = context;
  const cells = depth;
  const [q, y] = [1, 1].map(() => tensor(device, rows, heads * headLength));
  const [keys, cached] = [1, 1].map(() => tensor(device, cells * kvHeads, headLength, format));
  const positions = Array.from({ length: rows }, (_, t) => depth - rows + t);
  const args = {
    ...{ q, keys, values: cached, y, kvHeads, scale: 1 / Math.sqrt(headLength), window: 0 },
    ...{ positions: ints(device, positions), sequences: ints(device, new Array(rows).fill(0)) },
    pages: ints(
      device,
      Array.from({ length: cells / 64 }, (_, page) => page),
    ),
    pageLength: 64,
    count: ints(device, [rows]),
  };
  const seen = positions.reduce((sum, position) => sum + position + 1, 0);
  return {
    body: () => device.run("attention", args),
    amount: 2 * seen * heads * headLength,
    unit: "GMAC/s",
  };
}

async function measure(name: string, make: (device: Device) => Work): Promise<void> {
  if (!name.includes(pattern)) return;
  const device = await createWasmDevice();
  const { body, amount, unit } = make(device);
  // The clock of the thread ticks every four milliseconds on some machines.
  const repeats = Math.max(1, Math.round(6e9 / amount));
  const plan = device.record(() => {
    for (let i = 0; i < repeats; i++) body();
  });
  const seconds: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const start = process.threadCpuUsage();
    device.replay(plan);
    const { user, system } = process.threadCpuUsage(start);
    seconds.push((user + system) / 1e6 / repeats);
  }
  const median = seconds.slice(WARM_UPS).sort((a, b) => a - b)[Math.floor((RUNS - WARM_UPS) / 2)];
  const speed = (amount / median / 1e9).toFixed(2);
  console.log(`${name.padEnd(40)} ${(1e6 * median).toFixed(1).padStart(10)} µs ${speed.padStart(8)} ${unit}`);
  device.dispose();
}

/** Zeros do: speed depends on shape and format. */
function tensor(device: Device, rows: number, columns: number, format: TensorFormat = "F32"): Tensor {
  return denseTensor(device.allocate(rows * rowBytes(format, columns)), 0, rows, columns, format);
}

function ints(device: Device, list: readonly number[]): Tensor {
  const memory = device.allocate(4 * list.length);
  device.write(memory, new Uint8Array(Int32Array.from(list).buffer));
  return denseTensor(memory, 0, 1, list.length, "I32");
}
