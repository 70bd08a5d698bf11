/**
 * Keeps compiled constraints, since programs send the same few schemas again and again.
 *
 * Flow: server/structure.ts, ai-sdk/constraint.ts → keptConstraint → grammar/ → Constraint.
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Constraint } from "./constraint.ts";

/** Constraints kept for each tokenizer: the masks of a large grammar take megabytes. */
const mostKept = 32;
const kept = new WeakMap<Tokenizer, Map<string, Constraint>>();

/** The constraint of a source, such as `{ kind: "json", schema }`; `compile` makes it where it is not kept. */
export function keptConstraint(
  tokenizer: Tokenizer,
  source: Readonly<Record<string, unknown>>,
  compile: () => Constraint,
): Constraint {
  const constraints = kept.get(tokenizer) ?? new Map<string, Constraint>();
  kept.set(tokenizer, constraints);
  const key = JSON.stringify(source);
  const constraint = constraints.get(key) ?? compile();
  // The last used stands last: the first is the one to forget.
  constraints.delete(key);
  constraints.set(key, constraint);
  if (constraints.size > mostKept) constraints.delete(constraints.keys().next().value ?? "");
  return constraint;
}
