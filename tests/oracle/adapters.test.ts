/** llama.cpp with a GGUF adapter that we wrote: the same likelihoods as our merged weights, and others than the base's. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import { type AdapterMatrices, mergedWeights, openAdapter, writeAdapter } from "../../src/model/adapter.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { writeModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { targetShape } from "../../src/train/lora.ts";
import { seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { llamaCppIsInstalled, startLlamaCpp } from "./llama-cpp-client.ts";

const targets = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] as const;
const rank = 4;

describe.skipIf(!llamaCppIsInstalled())("an adapter in llama.cpp", () => {
  it("gives the likelihoods that merged weights give", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cria-adapter-"));
    try {
      const base = join(folder, "base.gguf");
      await writeTinyModel(base);
      const checkpoint = await openCheckpoint(base, nodeFiles);
      const next = seededNumbers(31);
      const values = (length: number) => Float32Array.from({ length }, () => 0.3 * next());
      const matrices = new Map<string, AdapterMatrices>();
      for (let layer = 0; layer < checkpoint.config.layerCount; layer++)
        for (const target of targets) {
          const { inputs, outputs } = targetShape(checkpoint.config, target);
          matrices.set(`blk.${layer}.${target}.weight`, {
            a: values(rank * inputs),
            b: values(outputs * rank),
            rank,
          });
        }
      const path = join(folder, "adapter.gguf");
      await writeAdapter(
        { name: "random", alpha: 8, matrices },
        path,
        { config: checkpoint.config, name: base },
        nodeFiles,
      );
      const adapter = await openAdapter(path, checkpoint.config, nodeFiles);
      const merged = join(folder, "merged.gguf");
      await writeModel(
        { ...checkpoint, weights: mergedWeights(checkpoint.weights, adapter) },
        merged,
        nodeFiles,
      );
      await checkpoint.file.close();

      using model = await loadModel(merged, {
        files: nodeFiles,
        createDevice: createReferenceDevice,
        hashFiles,
      });
      const ids = [1, ...Array.from({ length: 40 }, () => 259 + Math.floor(Math.abs(next()) * 150))];
      const { promptLogProbabilities = [] } = await model
        .generate(ids, { maxTokens: 1, promptLogProbabilities: true })
        .result();
      await using adapted = await startLlamaCpp(base, { contextSize: 64, adapter: path });
      await using plain = await startLlamaCpp(base, { contextSize: 64 });
      if (!adapted || !plain) return;
      const theirs = await adapted.request({ method: "likelihood", ids });
      const without = await plain.request({ method: "likelihood", ids });
      const distance = (a: readonly number[]) =>
        Math.max(...a.map((value, i) => Math.abs(value + promptLogProbabilities[i + 1])));
      expect(distance(theirs)).toBeLessThan(0.01);
      expect(distance(without)).toBeGreaterThan(0.2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
