/** Timings as people read them. */
import type { Timings } from "../generate/generate.ts";
import { formatInteger, formatRate, plural } from "./quantities.ts";

/** `12 tokens at 8.1 tokens/s · prompt 30 (+20 cached) at 40.2 tokens/s`. */
export function timingLine(timings: Timings): string {
  const cached = timings.cache_n > 0 ? ` (+${formatInteger(timings.cache_n)} cached)` : "";
  const answer = `${plural(timings.predicted_n, "token")} at ${formatRate(timings.predicted_per_second)}`;
  return `${answer} · prompt ${formatInteger(timings.prompt_n)}${cached} at ${formatRate(timings.prompt_per_second)}`;
}
