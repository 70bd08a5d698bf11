/**
 * Compares an adapter that we wrote with Python's PEFT: `node scripts/oracle/adapters.ts PYTHON`, where PYTHON has torch,
 * transformers and peft. Prints the largest difference of log-probabilities, and fails above 10⁻⁴.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { type AdapterMatrices, writeAdapter } from "../../src/model/adapter.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { writeModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { initializeLora, targetShape } from "../../src/train/lora.ts";
import type { LoraSettings } from "../../src/train/recipe.ts";
import { openSession } from "../../src/train/session.ts";
import { seededNumbers } from "../../tests/random-model.ts";
import { writeTinyModel } from "../../tests/tiny-model.ts";

const python = process.argv[2];
if (python === undefined) throw new Error("expected the path of a Python with torch, transformers and peft");
const lora: LoraSettings = {
  ...{ rank: 4, alpha: 8, dropout: 0 },
  targets: ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
};
const folder = await mkdtemp(join(tmpdir(), "cria-peft-"));
try {
  const base = join(folder, "base.gguf");
  await writeTinyModel(base);
  const checkpoint = await openCheckpoint(base, nodeFiles);
  const { config, weights } = checkpoint;
  await writeModel(checkpoint, join(folder, "base"), nodeFiles, { type: "f32" });

  const length = 41;
  const session = await openSession(createReferenceDevice(), {
    ...{ config, tied: false, weights, lora, shape: { windows: 1, length }, adamW: {}, seed: 1 },
  });
  initializeLora(session.store, 1);
  const next = seededNumbers(31);
  const matrices = new Map<string, AdapterMatrices>();
  for (let layer = 0; layer < config.layerCount; layer++)
    for (const target of lora.targets) {
      const name = `blk.${layer}.${target}.weight`;
      const { outputs } = targetShape(config, target);
      const b = Float32Array.from({ length: outputs * lora.rank }, () => 0.3 * next());
      session.store.write(`${name}.lora_b`, b);
      matrices.set(name, { a: await session.store.read(`${name}.lora_a`), b, rank: lora.rank });
    }
  await writeAdapter(
    { name: "random", alpha: lora.alpha, matrices },
    join(folder, "adapter"),
    { config, name: base },
    nodeFiles,
  );

  const ids = [1, ...Array.from({ length }, () => 259 + Math.floor(Math.abs(next()) * 150))];
  const ours = await session.pass.forward({
    ...{ rows: 1, length, tokens: Int32Array.from(ids.slice(0, -1)), targets: Int32Array.from(ids.slice(1)) },
    positions: Int32Array.from({ length }, (_, t) => t),
    starts: new Int32Array(length),
    weights: new Float32Array(length).fill(1),
  });
  const script = join(import.meta.dirname, "adapters.py");
  const output = execFileSync(
    python,
    [script, join(folder, "base"), join(folder, "adapter"), JSON.stringify(ids)],
    {
      encoding: "utf8",
    },
  );
  const theirs = JSON.parse(output.trim().split("\n").at(-1) ?? "[]") as number[];
  const largest = Math.max(...theirs.map((value, i) => Math.abs(value - ours[i])));
  console.log(`${theirs.length} log-probabilities, largest difference ${largest.toExponential(2)}`);
  if (!(theirs.length === length && largest < 1e-4)) process.exitCode = 1;
  await checkpoint.file.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
