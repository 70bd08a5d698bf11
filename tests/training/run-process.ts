/**
 * A small run in a process of its own, to be killed: `node tests/training/run-process.ts FOLDER STEPS`.
 *
 * Goes on from the newest checkpoint in the folder; prints the SHA-256 of the final weights.
 */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { nodeRun } from "../../src/platform/node/training/run-platform.ts";
import { parseRecipe } from "../../src/train/recipe.ts";
import { runTraining } from "../../src/train/run.ts";
import { smallConfig } from "../random-model.ts";
import { randomBatch } from "./random-batch.ts";

const [folder, steps] = process.argv.slice(2);
const config = { ...smallConfig, contextLength: 8, layerCount: 1 };
mkdirSync(folder, { recursive: true });
await runTraining({
  recipe: parseRecipe(
    JSON.stringify({
      kind: "pretrain",
      name: "killed",
      output: folder,
      data: [{ path: "random" }],
      model: { width: 32, layers: 1, heads: 4, feedForward: 64, context: 8 },
      batch: { windows: 2, accumulate: 2 },
      steps: Number(steps),
      schedule: { rate: 0.01, warmup: 5 },
      checkpoint: { every: 3, keep: 2 },
      validateEvery: 1000,
    }),
    "test",
  ),
  config,
  tied: true,
  data: {
    async *batches(start) {
      for (let index = start; ; index++) yield randomBatch(2, 8, config.vocabularySize, index);
    },
    async *validation() {},
  },
  device: createReferenceDevice(),
  platform: nodeRun,
  fingerprint: "test",
  resume: true,
  async finish({ store }) {
    const hash = createHash("sha256");
    for (const name of store.names)
      for (const kind of ["w", "m", "v"] as const) hash.update(await store.read(name, kind));
    console.log(hash.digest("hex"));
  },
});
