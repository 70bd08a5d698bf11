/**
 * The learning rate of each step: a linear warm-up, then a curve down to a share of the peak.
 *
 *   warm-up   rate = peak · step / warmup                                    for step ≤ warmup
 *   cosine    rate = peak · (final + (1 − final) · (1 + cos π·p) / 2)       p from 0 to 1 over the rest
 *   linear    rate = peak · (1 − (1 − final) · p)
 *   constant  rate = peak
 *
 * Source: Llama 2's recipe is the cosine with 2,000 steps of warm-up and a final share of 0.1 (2307.09288, §2.2).
 */
import { CriaError } from "../shared/errors.ts";

export type ScheduleShape = "cosine" | "linear" | "constant";

export interface Schedule {
  /** The peak. */
  readonly rate: number;
  readonly warmup: number;
  readonly shape: ScheduleShape;
  /** Share of the peak that the last step has; not for "constant". */
  readonly final: number;
}

/** The rate of `step`, which counts from 1 to `steps`. @throws {CriaError} "bad-input" for settings out of range. */
export function rateAt({ rate, warmup, shape, final }: Schedule, step: number, steps: number): number {
  if (!(rate > 0 && warmup >= 0 && final >= 0 && final <= 1))
    throw new CriaError(
      "bad-input",
      `schedule: expected a rate above 0, a warm-up of at least 0 and a final share from 0 to 1; got ${rate}, ${warmup}, ${final}`,
    );
  if (step <= warmup) return (rate * step) / warmup;
  if (shape === "constant" || steps <= warmup) return rate;
  const progress = Math.min(1, (step - warmup) / (steps - warmup));
  if (shape === "linear") return rate * (1 - (1 - final) * progress);
  return rate * (final + ((1 - final) * (1 + Math.cos(Math.PI * progress))) / 2);
}
