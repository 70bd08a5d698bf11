/**
 * Tokens per second of tuning adapters on SmolLM2-135M, beside PyTorch with PEFT in the same run, step by step in turns:
 *
 *   node bench/lora.ts --python PATH [--model FILE] [--steps 3] [--threads 2] [--json NAME]
 *
 * PATH is a Python with torch, transformers and peft. One window of 512 tokens a step, rank 16, alpha 32, dropout 0.05, all
 * seven targets. Ours stands on the 4-bit file, PEFT on the same shape in f32, as it would be trained on a processor.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createWasmDevice } from "../src/devices/wasm/device.ts";
import { openCheckpoint } from "../src/model/checkpoint.ts";
import { nodeFiles } from "../src/platform/node/file-system.ts";
import { startThread } from "../src/platform/node/threads.ts";
import { meanLossStep } from "../src/train/mean-loss.ts";
import { openSession } from "../src/train/session.ts";
import { startPython } from "./compare/python-rival.ts";
import { randomBatch } from "./compare/random-batch.ts";
import { describeRun, wholeNumber, writeResults } from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const file = join(import.meta.dirname, "..", ".fixtures", "SmolLM2-135M-Instruct.Q4_1.gguf");
const { values } = parseArgs({
  options: {
    python: { type: "string" },
    model: { type: "string", default: file },
    steps: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const steps = wholeNumber("steps", values.steps, 1);
const length = 512;
const run = describeRun(threads, steps);
const { file: source, config, weights } = await openCheckpoint(values.model, nodeFiles);
const device = await createWasmDevice({ startThread, threadCount: threads });
const targets = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] as const;
const session = await openSession(device, {
  config,
  ...{ tied: !weights.has("output.weight"), weights, seed: 1, adamW: {} },
  lora: { rank: 16, alpha: 32, dropout: 0.05, targets: [...targets] },
  shape: { windows: 1, length },
});
const rival =
  values.python === undefined
    ? undefined
    : await startPython(values.python, "lora-speed.py", {
        ...{ width: config.width, heads: config.headCount, kvHeads: config.kvHeadCount },
        ...{ layers: config.layerCount, feedForward: config.feedForwardLength },
        ...{ vocabulary: config.vocabularySize, length, threads },
      });

const speeds: { cria: number[]; peft: number[] } = { cria: [], peft: [] };
for (let step = 0; step <= steps; step++) {
  const cria = length / (await ourStep(step + 1));
  const peft = rival ? length / (await rival.step()) : undefined;
  console.log(`step ${step}: ${cria.toFixed(1)} tokens/s${peft ? `, PEFT ${peft.toFixed(1)}` : ""}`);
  // The first step of each warms up.
  if (step === 0) continue;
  speeds.cria.push(cria);
  if (peft !== undefined) speeds.peft.push(peft);
}
const cria = summarize(speeds.cria);
const peft = speeds.peft.length > 0 ? summarize(speeds.peft) : undefined;
console.log(
  `Cria ${cria.median.toFixed(1)} ± ${cria.spread.toFixed(1)} tokens/s, ${session.store.valueCount} values trained` +
    (peft
      ? `; PEFT ${peft.median.toFixed(1)} ± ${peft.spread.toFixed(1)}; ${(cria.median / peft.median).toFixed(2)} ×`
      : ""),
);
if (values.json !== undefined)
  writeResults(values.json, { ...run, length, rival: rival?.facts, tokensPerSecond: { cria, peft } });
rival?.end();
session.dispose();
device.dispose();
await source.close();

async function ourStep(step: number): Promise<number> {
  const batch = randomBatch(1, length, config.vocabularySize, step);
  const start = performance.now();
  session.optimizer.clear();
  await meanLossStep(session.pass, [batch], () => step);
  await session.optimizer.step(step, 1e-4);
  await session.store.read("blk.0.attn_q.weight.lora_a");
  return (performance.now() - start) / 1000;
}
