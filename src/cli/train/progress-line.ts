/** One line of standard error that follows a run; a line for every twentieth of it where that is no terminal. */
import type { StepMetrics } from "../../train/trainer.ts";
import { formatInteger } from "../quantities.ts";
import { notice } from "../terminal.ts";

/** Share of the newest step in the averages that are shown. */
const SMOOTHING = 0.05;

export class ProgressLine {
  readonly #stream = process.stderr;
  #loss = Number.NaN;
  #rate = Number.NaN;
  #shown = "";

  update(metrics: StepMetrics): void {
    const { step, steps, loss, seconds, tokens } = metrics;
    // A step without a token to learn has no loss.
    if (!Number.isNaN(loss)) this.#loss = smoothed(this.#loss, loss);
    this.#rate = smoothed(this.#rate, tokens / seconds);
    const left = ((steps - step) * tokens) / this.#rate;
    this.#shown =
      `step ${formatInteger(step)} of ${formatInteger(steps)}  loss ${Number.isNaN(this.#loss) ? "–" : this.#loss.toFixed(4)}  ` +
      `rate ${metrics.rate.toExponential(2)}  ${formatInteger(Math.round(this.#rate))} tokens/s  ${duration(left)} left`;
    if (this.#stream.isTTY) this.#stream.write(`\r\x1b[2K${this.#shown}`);
    else if (step % Math.max(1, Math.round(steps / 20)) === 0 || step === 1) notice(this.#shown);
  }

  /** Writes a line of its own above the progress. */
  say(line: string): void {
    if (this.#stream.isTTY) this.#stream.write("\r\x1b[2K");
    notice(line);
    if (this.#stream.isTTY) this.#stream.write(this.#shown);
  }

  end(): void {
    if (this.#stream.isTTY && this.#shown !== "") this.#stream.write("\n");
    this.#shown = "";
  }
}

function smoothed(mean: number, value: number): number {
  return Number.isNaN(mean) ? value : (1 - SMOOTHING) * mean + SMOOTHING * value;
}

/** `1:05:09`, `5:09`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
