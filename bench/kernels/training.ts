/**
 * Speed of what a training step is made of, on the CPU device: `node bench/kernels/training.ts [threads] [rows]`.
 *
 * Shapes are those of a Llama of 7.2 M parameters (bench/training.ts). Every op takes turns with a loop that does
 * nothing but multiply-adds of 128 bits in registers; rates and shares of that limit are per second of a processor, so
 * they hold on a busy machine too. Medians over the turns. Then the ops' times weighed with how often a step of six
 * layers runs them, and whole steps.
 */
import { cpus } from "node:os";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import type { OpArgs, OpName } from "../../src/ops/index.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { TensorFormat } from "../../src/tensor/format.ts";
import { columnView, denseTensor, type Tensor } from "../../src/tensor/tensor.ts";
import type { Batch } from "../../src/train/data/batch.ts";
import { meanLossStep } from "../../src/train/mean-loss.ts";
import { openSession } from "../../src/train/session.ts";
import { multiplyAddLoop } from "./multiply-add-loop.ts";

const TURNS = 9;
const STEPS = 3;
const threadCount = Number(process.argv[2] ?? 1);
const rows = Number(process.argv[3] ?? 4096);
const length = Math.min(256, rows);
const [width, hidden, vocabulary, heads, headLength, layers] = [288, 768, 4096, 6, 48, 6];

const device = await createWasmDevice(threadCount > 1 ? { startThread, threadCount } : {});
const loop = await multiplyAddLoop();
const count = tensor(1, 1, "I32");
device.write(count.memory, new Uint8Array(Int32Array.of(rows).buffer));

interface Measured {
  readonly name: string;
  /** Multiply-adds, 0 for what is bound by memory. */
  readonly products: number;
  /** How often a step runs it. */
  readonly times: number;
  run(): void;
}

function tensor(tensorRows: number, columns: number, format: TensorFormat = "F32"): Tensor {
  return denseTensor(device.allocate(4 * tensorRows * columns), 0, tensorRows, columns, format);
}

/** Values like those of a real step: neither zeros nor subnormal. */
function filled(tensorRows: number, columns: number): Tensor {
  const made = tensor(tensorRows, columns);
  const values = Float32Array.from({ length: tensorRows * columns }, (_, i) => Math.sin(i) / 4);
  device.write(made.memory, new Uint8Array(values.buffer));
  return made;
}

function op<Name extends OpName>(name: Name, args: OpArgs[Name]): () => void {
  const plan = device.record(() => device.run(name, args));
  return () => device.replay(plan);
}

/** The product, its gradient by x and its gradient by W. */
function products(label: string, inputs: number, outputs: number, times: number): Measured[] {
  const [x, dx, y] = [filled(rows, inputs), tensor(rows, inputs), filled(rows, outputs)];
  const [w, dw] = [filled(outputs, inputs), tensor(outputs, inputs)];
  const out = tensor(rows, outputs);
  const shape = `${rows} × ${inputs} → ${outputs}`;
  const made = { products: rows * inputs * outputs, times };
  return [
    { ...made, name: `${label} ${shape}`, run: op("matmul", { x, w, y: out, count }) },
    { ...made, name: `${label} by x`, run: op("matmul", { x: y, w, y: dx, transposed: true, count }) },
    { ...made, name: `${label} by W`, run: op("matmulGrad", { x, dy: y, dw, count }) },
  ];
}

function attention(): Measured[] {
  const [qkv, gradient] = [filled(rows, 3 * width), tensor(rows, 3 * width)];
  const [q, k, v] = [0, 1, 2].map((part) => columnView(qkv, part * width, width));
  const [dq, dk, dv] = [0, 1, 2].map((part) => columnView(gradient, part * width, width));
  const [y, dy, logSumExp] = [tensor(rows, width), filled(rows, width), tensor(rows, heads)];
  const starts = tensor(1, rows, "I32");
  const first = Int32Array.from({ length: rows }, (_, t) => t - (t % length));
  device.write(starts.memory, new Uint8Array(first.buffer));
  const args = { q, k, v, y, logSumExp, starts, length, headLength, scale: 1 / Math.sqrt(headLength), count };
  // Half of all pairs; two products forward, five backward.
  const pairs = (rows * (length + 1) * width) / 2;
  return [
    { name: "packedAttention", products: 2 * pairs, times: layers, run: op("packedAttention", args) },
    {
      ...{ name: "packedAttentionGrad", products: 5 * pairs, times: layers },
      run: op("packedAttentionGrad", { ...args, dy, dq, dk, dv }),
    },
  ];
}

function rowOps(): Measured[] {
  const [x, dx, dy, y] = [filled(rows, width), tensor(rows, width), filled(rows, width), tensor(rows, width)];
  const [w, dw] = [filled(1, width), tensor(1, width)];
  const both = filled(rows, 2 * hidden);
  const [gate, up] = [columnView(both, 0, hidden), columnView(both, hidden, hidden)];
  const dBoth = tensor(rows, 2 * hidden);
  const [dGate, dUp] = [columnView(dBoth, 0, hidden), columnView(dBoth, hidden, hidden)];
  const [mixed, dMixed] = [tensor(rows, hidden), filled(rows, hidden)];
  const logits = filled(rows, vocabulary);
  const [targets, seeds, logs] = [tensor(1, rows, "I32"), filled(rows, 1), tensor(rows, 1)];
  const qk = filled(rows, 2 * width);
  const [positions, frequencies] = [tensor(1, rows, "I32"), filled(1, headLength / 2)];
  const [table, dTable] = [filled(vocabulary, width), tensor(vocabulary, width)];
  const big = Array.from({ length: 4 }, () => filled(7200, 1000));
  const settings = filled(1, 4);
  const constants = { beta1: 0.9, beta2: 0.95, epsilon: 1e-5, decay: 0.1 };
  const row = { products: 0, times: layers };
  const epsilon = 1e-5;
  return [
    { ...row, name: "rmsNorm", times: 13, run: op("rmsNorm", { x, w, y, epsilon, count }) },
    { ...row, name: "rmsNormGrad", times: 13, run: op("rmsNormGrad", { x, w, dy, dx, dw, epsilon, count }) },
    {
      ...{ ...row, name: "rope", times: 2 * layers },
      run: op("rope", { x: qk, positions, frequencies, headLength, count }),
    },
    { ...row, name: "swiglu", run: op("swiglu", { gate, up, y: mixed, count }) },
    { ...row, name: "swigluGrad", run: op("swigluGrad", { gate, up, dy: dMixed, dGate, dUp, count }) },
    { ...row, name: "crossEntropy", times: 1, run: op("crossEntropy", { logits, targets, y: logs, count }) },
    {
      ...{ ...row, name: "crossEntropyGrad", times: 1 },
      run: op("crossEntropyGrad", { logits, targets, seeds, dLogits: logits, count }),
    },
    { ...row, name: "embed", times: 1, run: op("embed", { table, tokens: targets, y, count }) },
    { ...row, name: "embedGrad", times: 1, run: op("embedGrad", { dy, tokens: targets, dTable, count }) },
    { ...row, name: "sumSquares 7.2 M", times: 1, run: op("sumSquares", { x: big[0], y: tensor(1, 1) }) },
    {
      ...{ ...row, name: "adamW 7.2 M", times: 1 },
      run: op("adamW", { w: big[0], gradient: big[1], m: big[2], v: big[3], settings, ...constants }),
    },
  ];
}

interface Times {
  /** Seconds that passed. */
  readonly wall: number;
  /** Seconds that all threads of this program had a processor, waiting in loops included. */
  readonly busy: number;
}

async function timesOf(run: () => unknown): Promise<Times> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await run();
  if (threadCount > 1) await device.read(count.memory);
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - start) / 1000, busy: (user + system) / 1e6 };
}

/** Multiply-adds of the loop in a second of a processor. */
async function limitOf(): Promise<number> {
  const amount = 4e7;
  const before = process.cpuUsage();
  loop.run(amount);
  return amount / (process.cpuUsage(before).user / 1e6);
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1];

const measured = [
  ...products("q|k|v", width, 3 * width, layers),
  ...products("output", width, width, layers),
  ...products("gate|up", width, 2 * hidden, layers),
  ...products("down", hidden, width, layers),
  ...products("head", width, vocabulary, 1),
  ...attention(),
  ...rowOps(),
];
console.log(`${cpus()[0].model}, Node ${process.version}, threads ${threadCount}`);
console.log("op                              ms   GFMA/s    share");
for (let i = 0; i < 3; i++) loop.run(2e7);
const total = { wall: 0, busy: 0, products: 0 };
const allLimits: number[] = [];
for (const { name, products: amount, times, run } of measured) {
  await timesOf(run);
  const limits: number[] = [];
  const taken: Times[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    limits.push(await limitOf());
    taken.push(await timesOf(run));
  }
  const [wall, busy] = [median(taken.map((one) => one.wall)), median(taken.map((one) => one.busy))];
  const rate = amount / busy;
  console.log(
    name.padEnd(26) + (1000 * wall).toFixed(2).padStart(8) + (amount ? shareText(rate, median(limits)) : ""),
  );
  total.wall += times * wall;
  total.busy += times * busy;
  // Attention's products are not what a step is measured by.
  if (!name.startsWith("packed")) total.products += times * amount;
  allLimits.push(...limits);
}
report("sum over a step", total.wall, total.busy, median(allLimits));

const session = await openSession(device, {
  config: {
    ...{ name: "bench", vocabularySize: vocabulary, contextLength: length, width, layerCount: layers },
    ...{
      feedForwardLength: hidden,
      headCount: heads,
      kvHeadCount: heads,
      headLength,
      ropeLength: headLength,
    },
    ...{ normEpsilon: 1e-5, ropeBase: 10_000, ropeScaling: { type: "none" }, slidingWindow: 0 },
  },
  ...{ tied: true, shape: { windows: rows / length, length }, adamW: {}, seed: 1 },
});
const steps: Times[] = [];
const limits: number[] = [];
for (let index = 1; index <= STEPS + 1; index++) {
  limits.push(await limitOf());
  steps.push(await timesOf(() => oneStep(index)));
}
const after = steps.slice(1);
report(
  "whole step",
  median(after.map(({ wall }) => wall)),
  median(after.map(({ busy }) => busy)),
  median(limits),
);
session.dispose();
device.dispose();

function shareText(rate: number, limit: number): string {
  return (rate / 1e9).toFixed(1).padStart(9) + `${((100 * rate) / limit).toFixed(1)} %`.padStart(9);
}

function report(name: string, wall: number, busy: number, limit: number): void {
  const rate = total.products / busy;
  console.log(
    `${name}: ${wall.toFixed(2)} s, ${(rows / wall).toFixed(0)} tokens/s; ${busy.toFixed(2)} s of processors, ` +
      `products of weights ${(rate / 1e9).toFixed(1)} GFMA/s of ${(limit / 1e9).toFixed(1)}: ${((100 * rate) / limit).toFixed(1)} %`,
  );
}

async function oneStep(index: number): Promise<void> {
  const ids = Int32Array.from(
    { length: rows + 1 },
    (_, i) => ((i * 7919 + index * 104729) >>> 3) % vocabulary,
  );
  const batch: Batch = {
    ...{ rows: rows / length, length, tokens: ids.slice(0, rows), targets: ids.slice(1) },
    positions: Int32Array.from({ length: rows }, (_, t) => t % length),
    starts: Int32Array.from({ length: rows }, (_, t) => t - (t % length)),
    weights: new Float32Array(rows).fill(1),
  };
  session.optimizer.clear();
  await meanLossStep(session.pass, [batch], () => 0);
  await session.optimizer.step(index, 1e-3);
}
