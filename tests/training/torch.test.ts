/** Loss, gradients and 20 steps of training against figures that PyTorch gave (scripts/oracle/training.py, float64). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { Device } from "../../src/tensor/device.ts";
import { meanLossStep } from "../../src/train/mean-loss.ts";
import { rateAt } from "../../src/train/schedule.ts";
import { batches, fingerprint, schedule, startTraining, steps } from "./torch-case.ts";

interface Figures {
  readonly loss: number;
  readonly logProbabilities: readonly number[];
  readonly gradients: Readonly<Record<string, { readonly norm: number; readonly probe: number }>>;
  readonly curve: readonly number[];
  readonly norms: readonly number[];
}

const path = join(import.meta.dirname, "..", "fixtures", "training", "torch.json");
const figures = JSON.parse(await readFile(path, "utf8")) as Record<"tied" | "untied", Figures>;

const devices = [
  ["reference", createReferenceDevice],
  ["wasm", () => createWasmDevice({ startThread, threadCount: 2, smallWork: 0 })],
] as const;
const cases = devices.flatMap(([device, create]) =>
  (["tied", "untied"] as const).map((name) => ({ device, create, name })),
);

describe.each(cases)("on the $device device, a model with $name head", ({ create, name }) => {
  const wanted = figures[name];
  let device: Device;
  beforeAll(async () => {
    device = await create();
  });
  afterAll(() => device.dispose());

  it("has PyTorch's log-probabilities, loss and gradients", async () => {
    const { store, pass } = await startTraining(name === "tied", device);
    (await pass.forward(batches[0])).forEach((value, t) => {
      expect(value, `token ${t}`).toBeCloseTo(wanted.logProbabilities[t], 5);
    });
    const { total, counted } = await meanLossStep(pass, [batches[0]], () => 0);
    expect(total / counted).toBeCloseTo(wanted.loss, 5);
    expect(Object.keys(wanted.gradients).sort()).toEqual([...store.names].sort());
    for (const parameter of store.names) {
      const gradient = await store.read(parameter, "gradient");
      const { norm, probe } = wanted.gradients[parameter];
      expect(Math.abs(Math.hypot(...gradient) - norm) / norm, parameter).toBeLessThan(1e-5);
      expect(Math.abs(fingerprint(gradient) - probe) / norm, parameter).toBeLessThan(1e-5);
    }
  });

  it("has PyTorch's curve over 20 steps of AdamW with clipping, warm-up and cosine", async () => {
    const { pass, optimizer } = await startTraining(name === "tied", device);
    for (let step = 1; step <= steps; step++) {
      optimizer.clear();
      const batch = batches[(step - 1) % batches.length];
      const { total, counted } = await meanLossStep(pass, [batch], () => 0);
      expect(Math.abs(total / counted - wanted.curve[step - 1]), `step ${step}`).toBeLessThan(1e-4);
      const norm = await optimizer.step(step, rateAt(schedule, step, steps));
      expect(Math.abs(norm - wanted.norms[step - 1]) / norm, `norm of step ${step}`).toBeLessThan(1e-3);
    }
  });
});
