/** A run that is killed again and again ends with the bits of one that was not. */
import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { seededNumbers } from "../random-model.ts";

const program = join(import.meta.dirname, "run-process.ts");
const steps = "400";
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-resume-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function finish(target: string, count = steps): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, target, count]);
  return stdout.trim();
}

/** Starts the run and kills it; false when it ended before. */
async function killAfter(target: string, milliseconds: number): Promise<boolean> {
  const child = spawn(process.execPath, [program, target, steps], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await Promise.race([setTimeout(milliseconds), ended]);
  const running = child.exitCode === null && child.kill("SIGKILL");
  await ended;
  return running;
}

function checkpointsIn(target: string): string[] {
  const path = join(target, "checkpoints");
  return existsSync(path) ? readdirSync(path).sort() : [];
}

it("killed at 50 random moments, it goes on to the same bits", async () => {
  const wanted = await finish(join(folder, "whole"));
  const next = seededNumbers(Date.now() % 1e6);
  const target = join(folder, "killed");
  let kills = 0;
  while (kills < 50) {
    if (await killAfter(target, 350 + 150 * next())) kills++;
    // It came to its end before the 50th: again from the start, with other moments.
    else await rm(target, { recursive: true });
  }
  expect(await finish(target)).toBe(wanted);
}, 300_000);

it("keeps the newest two checkpoints, and metrics without a step twice", async () => {
  await finish(folder, "10");
  expect(checkpointsIn(folder)).toEqual([
    "step-00000009.json",
    "step-00000009.safetensors",
    "step-00000010.json",
    "step-00000010.safetensors",
  ]);
  // As if it had been killed after step 10's line and before its checkpoint.
  for (const name of checkpointsIn(folder).slice(2)) await rm(join(folder, "checkpoints", name));
  await finish(folder, "10");
  const lines = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { step: number }).step)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ]);
});

it("refuses a damaged checkpoint and says which one is good", async () => {
  await finish(folder, "10");
  const newest = join(folder, "checkpoints", "step-00000010.safetensors");
  const bytes = readFileSync(newest);
  bytes[bytes.length - 5] ^= 1;
  writeFileSync(newest, bytes);
  await expect(finish(folder, "12")).rejects.toThrow(/step-00000010\.safetensors.*damaged.*step 9/);
  for (const name of checkpointsIn(folder).slice(2)) await rm(join(folder, "checkpoints", name));
  await expect(finish(folder, "12")).resolves.toMatch(/^[0-9a-f]{64}$/);
});
