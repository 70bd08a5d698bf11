/** What a run does around its steps: measuring, keeping checkpoints, stopping, going on. */
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { trainRecipe } from "../../src/platform/node/training/train-recipe.ts";
import { parseRecipe } from "../../src/train/recipe.ts";
import { type RunData, type RunOptions, runTraining } from "../../src/train/run.ts";
import { memoryFiles } from "../memory-files.ts";
import { smallConfig } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { randomBatch } from "./random-batch.ts";

const config = { ...smallConfig, contextLength: 8, layerCount: 1 };
const batchOf = (seed: number) => randomBatch(2, 8, config.vocabularySize, seed);
const data: RunData = {
  async *batches(start) {
    for (let index = start; ; index++) yield batchOf(index);
  },
  async *validation() {
    yield batchOf(1000);
  },
};

/** Runs six steps in memory, measured and kept every third; gives the final weights. */
async function run(
  files: ReturnType<typeof memoryFiles>,
  changes: Partial<RunOptions> = {},
  settings: Readonly<Record<string, unknown>> = {},
): Promise<readonly number[]> {
  const { contents } = files;
  const recipe = parseRecipe(
    JSON.stringify({
      ...{ kind: "pretrain", name: "small", output: "run", data: [{ path: "random" }], steps: 6 },
      model: { width: 32, layers: 1, heads: 4, feedForward: 64, context: 8 },
      ...{ batch: { windows: 2 }, schedule: { rate: 0.01, warmup: 2 }, checkpoint: { every: 3 } },
      ...{ validateEvery: 3, sample: { every: 3, prompts: ["x"] } },
      ...settings,
    }),
    "test",
  );
  const weights: number[] = [];
  const append = (path: string, line: string): void => {
    const before = new TextDecoder().decode(contents.get(path));
    contents.set(path, new TextEncoder().encode(`${before}${line}\n`));
  };
  await runTraining({
    ...{ recipe, config, tied: true, data, device: createReferenceDevice(), fingerprint: "f", resume: true },
    platform: {
      files,
      hashFiles: async (paths) => JSON.stringify(paths.map((path) => [...(contents.get(path) ?? [])].join())),
      remove: async (path) => void contents.delete(path),
      appendLine: async (path, line) => append(path, line),
    },
    onSample: async (step) => append("run/metrics.jsonl", JSON.stringify({ step, samples: [] })),
    async finish({ store }) {
      for (const name of store.names) weights.push(...(await store.read(name)));
    },
    ...changes,
  });
  return weights;
}

/** Which lines metrics.jsonl has: "3" for a step, "3 validation" and "3 samples" for what was measured after it. */
function linesOf({ contents }: ReturnType<typeof memoryFiles>): string[] {
  const text = new TextDecoder().decode(contents.get("run/metrics.jsonl")).trim();
  return text.split("\n").map((line) => {
    const { step, ...values } = JSON.parse(line) as Record<string, unknown>;
    return [step, ...["validation", "samples"].filter((name) => name in values)].join(" ");
  });
}

const checkpointsOf = ({ contents }: ReturnType<typeof memoryFiles>) =>
  [...contents.keys()].filter((path) => path.includes("/checkpoints/") && path.endsWith(".json"));

const whole = [
  ...["0 validation", "1", "2", "3", "3 validation", "3 samples"],
  ...["4", "5", "6", "6 validation", "6 samples"],
];

it.each([
  ["validation", { onValidation: (step: number) => fail(step === 3) }],
  ["sampling", { onSample: async (step: number) => fail(step === 3) }],
])("killed during %s, it goes on without a line that is missing or there twice", async (_, changes) => {
  const files = memoryFiles();
  await expect(run(files, changes)).rejects.toThrow("killed");
  expect(checkpointsOf(files)).toEqual([]);
  await run(files);
  expect(linesOf(files)).toEqual(whole);
});

function fail(now: boolean): void {
  if (now) throw new Error("killed");
}

it.each([
  ["after a step", 2],
  // Before what is measured then, and before the last checkpoint.
  ["after a step that is measured", 3],
  ["after the last step", 6],
])("stopped %s, it keeps what it has done and goes on from there", async (_, last) => {
  const wanted = await run(memoryFiles());
  const files = memoryFiles();
  const controller = new AbortController();
  const stopped = run(files, {
    signal: controller.signal,
    onStep: ({ step }) => step === last && controller.abort(),
  });
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  const starts: number[] = [];
  const weights = await run(files, { onStart: ({ step }) => starts.push(step) });
  expect(starts).toEqual([last]);
  expect(weights).toEqual(wanted);
  expect(linesOf(files)).toEqual(whole);
});

it("stopped before the first step, it leaves no checkpoint", async () => {
  const files = memoryFiles();
  await expect(run(files, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  expect(checkpointsOf(files)).toEqual([]);
});

it("a step without a token to learn changes nothing and has no loss", async () => {
  const files = memoryFiles();
  const empty = { ...batchOf(1), weights: new Float32Array(16) };
  const losses: number[] = [];
  const options: Partial<RunOptions> = {
    data: {
      ...data,
      async *batches(start) {
        for (let index = start; ; index++) yield index % 2 === 1 ? empty : batchOf(index);
      },
    },
    onStep: ({ loss, norm }) => losses.push(loss * norm),
  };
  await run(files, options, { checkpoint: { every: 1, keep: 6 } });
  expect(losses.map(Number.isNaN)).toEqual([false, true, false, true, false, true]);
  const weights = (step: number) =>
    Buffer.from(files.contents.get(`run/checkpoints/step-0000000${step}.safetensors`) ?? []);
  expect(weights(2).equals(weights(1))).toBe(true);
  expect(weights(3).equals(weights(2))).toBe(false);
  const lines = new TextDecoder().decode(files.contents.get("run/metrics.jsonl")).split("\n");
  const second = lines.map((line) => JSON.parse(line || "{}")).find(({ step }) => step === 2);
  expect(second).toMatchObject({ loss: null, norm: null });
});

it("removes what a killed process left of a checkpoint", async () => {
  const left = ["step-00000002.safetensors.00ab12.tmp", "step-00000002.json.00ab12.tmp"];
  const files = memoryFiles(Object.fromEntries(left.map((name) => [`run/checkpoints/${name}`, "x"])));
  files.contents.set("run/checkpoints/notes.tmp", new Uint8Array(1));
  await run(files);
  const names = (await files.list("run/checkpoints")) ?? [];
  expect(names.filter((name) => name.endsWith(".tmp"))).toEqual(["notes.tmp"]);
});

it.skipIf(process.platform !== "linux")("leaves no file open when it refuses data", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cria-refused-"));
  try {
    const base = join(folder, "tiny.gguf");
    await writeTinyModel(base);
    writeFileSync(join(folder, "chat.jsonl"), '{"prompt":"q","completion":"a"}');
    writeFileSync(join(folder, "pairs.jsonl"), '{"prompt":"q","chosen":"a","rejected":"b"}');
    const openFiles = () =>
      readdirSync("/proc/self/fd").flatMap((id) => {
        try {
          return [readlinkSync(`/proc/self/fd/${id}`)].filter((path) => path.startsWith(folder));
        } catch {
          return [];
        }
      });
    const recipe = (settings: object) =>
      parseRecipe(
        JSON.stringify({ kind: "sft", name: "x", output: join(folder, "run"), steps: 1, base, ...settings }),
        "test",
      );
    const data = ["chat.jsonl", "pairs.jsonl"].map((name) => ({ path: join(folder, name) }));
    await expect(trainRecipe(recipe({ data }), { threads: 1 })).rejects.toThrow(/pairs\.jsonl: holds pairs/);
    expect(openFiles()).toEqual([]);
    const missing = recipe({ data, chatTemplate: join(folder, "none.jinja") });
    await expect(trainRecipe(missing, { threads: 1 })).rejects.toThrow("none.jinja: no such file");
    expect(openFiles()).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
