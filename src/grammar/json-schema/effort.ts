/**
 * What the compilation of a schema takes, counted in steps, so that no schema keeps a server busy for long: a short one
 * can multiply in many ways (lists of alternatives, references, wide ranges).
 */
import { CriaError } from "../../shared/errors.ts";
import type { Expression } from "../expression.ts";

/** About a second on a slow machine. An enum of ten thousand texts stays below. */
const stepLimit = 300_000;

export class Effort {
  #left = stepLimit;

  /** @throws {CriaError} "unsupported" when the schema has taken too many. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0)
      throw new CriaError(
        "unsupported",
        `JSON schema: it takes more than ${stepLimit} steps to compile; make it smaller, or its ranges and lists shorter`,
      );
  }

  /** Counts the parts of what was made; rules that it refers to are counted where they are made. */
  spendOn(expression: Expression): void {
    const work = [expression];
    for (let next = work.pop(); next; next = work.pop()) {
      this.spend(next.kind === "characters" ? Math.max(1, next.set.length / 2) : 1);
      if (next.kind === "sequence") for (const part of next.parts) work.push(part);
      else if (next.kind === "choice") for (const option of next.options) work.push(option);
      else if (next.kind === "repeat") work.push(next.body);
      else if (next.kind === "graph") for (const { label } of next.edges) work.push(label);
    }
  }
}
