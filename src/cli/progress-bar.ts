/** A bar on one line of standard error; nothing when that is no terminal. */
import { formatBytes } from "./quantities.ts";

const WIDTH = 24;
/** Milliseconds between drawings. */
const PERIOD = 80;

export class ProgressBar {
  readonly #label: string;
  readonly #stream = process.stderr;
  readonly #format: (amount: number) => string;
  #drawn = 0;
  #started = performance.now();

  /** `format` writes amounts; bytes by default. */
  constructor(label: string, format: (amount: number) => string = formatBytes) {
    this.#label = label;
    this.#format = format;
  }

  update(done: number, total: number): void {
    if (!this.#stream.isTTY) return;
    const now = performance.now();
    // Short work shows no bar at all, so nothing flickers.
    if (now - this.#started < PERIOD || now - this.#drawn < PERIOD) return;
    this.#drawn = now;
    const part = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(part * WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    const percent = `${Math.floor(part * 100)} %`.padStart(5);
    const line = `${this.#label} ${bar} ${percent}  ${this.#format(done)} of ${this.#format(total)}`;
    this.#stream.write(`\r\x1b[2K${line.slice(0, Math.max(20, this.#stream.columns ?? 80) - 1)}`);
  }

  /** Removes the bar. */
  end(): void {
    if (this.#drawn > 0) this.#stream.write("\r\x1b[2K");
    this.#drawn = 0;
  }
}
