/** `cria train` on the CPU device's threads, killed again and again, makes the model of a run that was not. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { stringify } from "yaml";
import { seededNumbers } from "../random-model.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { mainPath, runCria, testEnvironment } from "./run-cria.ts";

const KILLS = 50;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-killed-"));
  await writeTinyModel(join(folder, "tiny.gguf"));
  const words = ["ba", "de", "ki", "lo", "mu", "ne", "ra", "so", "ti"];
  const lines = Array.from({ length: 60 }, (_, i) => `${words[i % 9]} ${words[(i * 5) % 9]} ${words[i % 7]}`);
  writeFileSync(join(folder, "text.jsonl"), lines.map((text) => JSON.stringify({ text })).join("\n"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes a recipe whose run goes into a folder of that name. */
function recipe(name: string): string {
  const path = join(folder, `${name}.yaml`);
  const settings = {
    ...{ kind: "pretrain", name: "Killed", output: join(folder, name), steps: 600 },
    model: { width: 64, layers: 2, heads: 4, feedForward: 128, context: 64 },
    tokenizer: join(folder, "tiny.gguf"),
    data: [{ path: join(folder, "text.jsonl"), license: "CC0" }],
    ...{ validation: 0.2, validateEvery: 100, type: "f32" },
    batch: { windows: 4, length: 64, accumulate: 2 },
    schedule: { rate: 0.01, warmup: 20 },
    checkpoint: { every: 5, keep: 2 },
  };
  writeFileSync(path, stringify(settings));
  return path;
}

const modelHash = (name: string) =>
  createHash("sha256")
    .update(readFileSync(join(folder, name, "model.gguf")))
    .digest("hex");

/** Resumes the run and kills it; false when it ended before. */
async function killAfter(path: string, milliseconds: number): Promise<boolean> {
  const command = [mainPath, "train", "pretrain", path, "--resume", "--threads", "2"];
  const child = spawn(process.execPath, command, { stdio: "ignore", env: testEnvironment() });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await Promise.race([setTimeout(milliseconds), ended]);
  const running = child.exitCode === null && child.kill("SIGKILL");
  await ended;
  return running;
}

it(`killed at ${KILLS} random moments, the command ends with the same bits`, async () => {
  const whole = await runCria(["train", "pretrain", recipe("whole"), "--threads", "1"]);
  expect(whole).toMatchObject({ code: 0 });
  const path = recipe("killed");
  const next = seededNumbers(Date.now() % 1e6);
  for (let kills = 0; kills < KILLS; )
    if (await killAfter(path, 400 + 400 * (1 + next()))) kills++;
    // It came to its end before the last: again from the start, with other moments.
    else await rm(join(folder, "killed"), { recursive: true });
  expect(await runCria(["train", "pretrain", path, "--resume"])).toMatchObject({ code: 0 });
  expect(modelHash("killed")).toBe(modelHash("whole"));
}, 300_000);
