/**
 * Finds stop strings in a text that arrives in pieces, and never shows a part of one.
 *
 * What is held back is the longest end of the text that is the start of some stop string: no less, or a part of a stop
 * string could be shown; no more, or the reader would wait without need.
 *
 * Flow: StreamDecoder (text) → StopMatcher → the caller (text that is safe to show).
 */
import { CriaError } from "../shared/errors.ts";

export interface StopResult {
  /** Text that no stop string can reach any more. */
  readonly text: string;
  /** A stop string was found; `text` ends before it. */
  readonly stopped: boolean;
}

export class StopMatcher {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  /** @throws {CriaError} "bad-input" for an empty stop string, which would match everywhere. */
  constructor(stops: readonly string[]) {
    if (stops.includes(""))
      throw new CriaError("bad-input", "stop: expected texts of at least one character, got an empty one");
    this.#stops = [...new Set(stops)];
  }

  /**
   * The stop string that is complete first counts, whatever the pieces; of two that end together, the one that begins
   * first. After a stop every piece gives nothing.
   */
  push(piece: string): StopResult {
    if (this.#stopped) return { text: "", stopped: true };
    const text = this.#held + piece;
    const end = this.#firstStop(text);
    if (end !== undefined) {
      this.#held = "";
      this.#stopped = true;
      return { text: text.slice(0, end), stopped: true };
    }
    const safe = text.length - this.#heldLength(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe), stopped: false };
  }

  /** What was held back, now that nothing follows it. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  /** Where the stop string begins that is complete first. */
  #firstStop(text: string): number | undefined {
    let first: number | undefined;
    let firstEnd = Number.POSITIVE_INFINITY;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      const end = start + stop.length;
      if (start < 0 || end > firstEnd || (end === firstEnd && start > (first ?? start))) continue;
      first = start;
      firstEnd = end;
    }
    return first;
  }

  #heldLength(text: string): number {
    let longest = 0;
    for (const stop of this.#stops)
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
        if (text.endsWith(stop.slice(0, length))) longest = length;
    return longest;
  }
}
