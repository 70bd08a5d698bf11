/**
 * AdamW over a parameter store: the norm of all gradients, clipping, and the update.
 *
 *   clip = min(1, maximum norm / ‖gradient‖)      then ops/adam-w.ts for every group
 *
 * Flow: Tape.backward (gradients) → Optimizer.step → weights of the next forward pass.
 * Source: the recipe of Llama 2 (arXiv 2307.09288, §2.2): β 0.9 and 0.95, ε 1e-5, decay 0.1, clipping at 1.
 */
import { CriaError } from "../shared/errors.ts";
import type { Device, Plan } from "../tensor/device.ts";
import { denseTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
import type { ParameterStore } from "./parameters.ts";

export interface AdamWOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.95. */
  readonly beta2?: number;
  /** Default 1e-5. */
  readonly epsilon?: number;
  /** Share of the rate by which matrices shrink in each step. Default 0.1. */
  readonly weightDecay?: number;
  /** Gradients with a larger norm are scaled down to it; 0 for no limit. Default 1. */
  readonly maximumNorm?: number;
}

export class Optimizer {
  readonly #device: Device;
  readonly #options: Required<AdamWOptions>;
  readonly #memory: Memory;
  readonly #settings: Tensor;
  readonly #sum: Tensor;
  readonly #clear: Plan;
  readonly #norm: Plan;
  readonly #update: Plan;

  constructor(device: Device, store: ParameterStore, options: AdamWOptions = {}) {
    const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-5, weightDecay = 0.1, maximumNorm = 1 } = options;
    this.#options = { beta1, beta2, epsilon, weightDecay, maximumNorm };
    this.#device = device;
    this.#memory = device.allocate(512);
    this.#settings = denseTensor(this.#memory, 0, 1, 4, "F32");
    this.#sum = denseTensor(this.#memory, 256, 1, 1, "F32");
    this.#clear = device.record(() => {
      for (const { gradient } of store.groups) device.run("fill", { y: gradient, value: 0 });
    });
    this.#norm = device.record(() => {
      device.run("fill", { y: this.#sum, value: 0 });
      for (const { gradient } of store.groups) device.run("sumSquares", { x: gradient, y: this.#sum });
    });
    this.#update = device.record(() => {
      for (const { decay, ...tensors } of store.groups)
        device.run("adamW", {
          ...tensors,
          settings: this.#settings,
          ...{ beta1, beta2, epsilon, decay: decay ? weightDecay : 0 },
        });
    });
  }

  /** Sets every gradient to 0; before the first backward pass of a step. */
  clear(): void {
    this.#device.replay(this.#clear);
  }

  /**
   * Updates every weight from its gradient. `step` counts from 1.
   *
   * @returns the norm of the gradients before clipping.
   * @throws {CriaError} "diverged" when it is not a finite number; the weights are as before then.
   */
  async step(step: number, rate: number): Promise<number> {
    this.#device.replay(this.#norm);
    const bytes = await this.#device.read(this.#memory, this.#sum.byteOffset, 4);
    const norm = Math.sqrt(new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true));
    if (!Number.isFinite(norm)) throw divergedAt(step, `the norm of the gradients is ${norm}`);
    const { beta1, beta2, maximumNorm } = this.#options;
    const clip = maximumNorm > 0 && norm > maximumNorm ? maximumNorm / norm : 1;
    const settings = Float32Array.of(rate, clip, 1 - beta1 ** step, 1 - beta2 ** step);
    this.#device.write(this.#memory, new Uint8Array(settings.buffer), this.#settings.byteOffset);
    this.#device.replay(this.#update);
    return norm;
  }

  dispose(): void {
    this.#device.free(this.#memory);
  }
}

/** The error of a step whose loss or gradients are not finite, before it has changed a weight. */
export function divergedAt(step: number, what: string): CriaError {
  const advice = "A lower rate, a longer warm-up or other data may help";
  return new CriaError(
    "diverged",
    `step ${step}: ${what}; the weights are those of step ${step - 1}. ${advice}`,
  );
}
