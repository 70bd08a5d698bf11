/**
 * Tokens per second of training on the CPU device, beside PyTorch's in the same run, step by step in turns:
 *
 *   node bench/training.ts --python PATH [--steps 5] [--threads 2] [--windows 16] [--json name]
 *
 * PATH is a Python with torch; without it only our own speed is measured. The model is a Llama of 7.2 M parameters.
 * Medians and the range of all steps but the first.
 */
import { parseArgs } from "node:util";
import { createWasmDevice } from "../src/devices/wasm/device.ts";
import type { ModelConfig } from "../src/model/config.ts";
import { startThread } from "../src/platform/node/threads.ts";
import { meanLossStep } from "../src/train/mean-loss.ts";
import { openSession } from "../src/train/session.ts";
import { startPython } from "./compare/python-rival.ts";
import { randomBatch } from "./compare/random-batch.ts";
import { describeRun, wholeNumber, writeResults } from "./compare/run.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    steps: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    windows: { type: "string", default: "16" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const windows = wholeNumber("windows", values.windows, 1);
const steps = wholeNumber("steps", values.steps, 1);
const length = 256;
const config: ModelConfig = {
  ...{ name: "bench", vocabularySize: 4096, contextLength: length, width: 288, layerCount: 6 },
  ...{ feedForwardLength: 768, headCount: 6, kvHeadCount: 6, headLength: 48, ropeLength: 48 },
  ...{ normEpsilon: 1e-5, ropeBase: 10_000, ropeScaling: { type: "none" }, slidingWindow: 0 },
};
/** Multiply-adds of the products for one token, forward and backward: three for each weight. */
const productsPerToken =
  3 *
  (config.layerCount * (4 * config.width ** 2 + 3 * config.width * config.feedForwardLength) +
    config.vocabularySize * config.width);

const run = describeRun(threads, steps);
const device = await createWasmDevice({ startThread, threadCount: threads });
const session = await openSession(device, {
  config,
  tied: true,
  shape: { windows, length },
  adamW: {},
  seed: 1,
});
const rival = values.python === undefined ? undefined : await startRival(values.python);
const tokens = windows * length;
const seconds: { ours: number[]; torch: number[] } = { ours: [], torch: [] };
for (let step = 0; step <= steps; step++) {
  const ours = await ourStep(step + 1);
  const torch = await rival?.step();
  console.log(
    `step ${step}: ${(tokens / ours).toFixed(0)} tokens/s${torch ? `, PyTorch ${(tokens / torch).toFixed(0)}` : ""}`,
  );
  // The first step of each warms up.
  if (step === 0) continue;
  seconds.ours.push(ours);
  if (torch !== undefined) seconds.torch.push(torch);
}
const ours = summary(seconds.ours);
const torch = seconds.torch.length > 0 ? summary(seconds.torch) : undefined;
const result = {
  ...run,
  torch: rival?.facts.torch,
  model: { ...config, parameters: session.store.valueCount, windows, length },
  tokensPerSecond: { cria: ours, torch },
  ratio: torch ? ours.median / torch.median : undefined,
  productGflops: (ours.median * productsPerToken) / 1e9,
};
console.log(
  `Cria ${ours.median.toFixed(0)} tokens/s (${ours.least.toFixed(0)}-${ours.most.toFixed(0)}), ` +
    `${result.productGflops.toFixed(1)} GFMA/s in products` +
    (torch ? `; PyTorch ${torch.median.toFixed(0)}; ratio ${result.ratio?.toFixed(2)}` : ""),
);
if (values.json !== undefined) writeResults(values.json, result);
rival?.end();
session.dispose();
device.dispose();

async function ourStep(step: number): Promise<number> {
  const batch = randomBatch(windows, length, config.vocabularySize, step);
  const start = performance.now();
  session.optimizer.clear();
  await meanLossStep(session.pass, [batch], () => 0);
  await session.optimizer.step(step, 1e-3);
  await session.store.read("output_norm.weight");
  return (performance.now() - start) / 1000;
}

function summary(list: readonly number[]): { median: number; least: number; most: number } {
  const rates = list.map((value) => tokens / value).sort((a, b) => a - b);
  return { median: rates[rates.length >> 1], least: rates[0], most: rates[rates.length - 1] };
}

function startRival(python: string) {
  return startPython(python, "training-speed.py", {
    ...{ width: config.width, heads: config.headCount, kvHeads: config.kvHeadCount },
    ...{ layers: config.layerCount, feedForward: config.feedForwardLength },
    ...{ vocabulary: config.vocabularySize, windows, length, threads },
  });
}
