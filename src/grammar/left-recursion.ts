/** Finds rules that begin with themselves: a machine that expands rules before it reads would never come to an end. */
import { CriaError } from "../shared/errors.ts";
import type { Expression } from "./expression.ts";
import { isNullable } from "./nullable.ts";

/** The search recurses. */
const depthLimit = 1000;

/** The rules of one left-recursive circle, in order and closed ("a", "b", "a"), or undefined. @throws {CriaError} "unsupported" */
export function leftRecursion(
  rules: ReadonlyMap<string, Expression>,
  nullable: ReadonlySet<string>,
): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const onPath = new Set<string>();
  const visit = (name: string): string[] | undefined => {
    if (onPath.has(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    if (path.length >= depthLimit)
      throw new CriaError("unsupported", `rules that begin with each other more than ${depthLimit} deep`);
    done.add(name);
    onPath.add(name);
    path.push(name);
    const body = rules.get(name);
    const first = new Set<string>();
    if (body) collectFirst(body, nullable, first);
    for (const next of first) {
      const circle = visit(next);
      if (circle) return circle;
    }
    path.pop();
    onPath.delete(name);
    return undefined;
  };
  for (const name of rules.keys()) {
    const circle = visit(name);
    if (circle) return circle;
  }
  return undefined;
}

/** Adds the rules that an expression can begin with. */
function collectFirst(expression: Expression, nullable: ReadonlySet<string>, into: Set<string>): void {
  switch (expression.kind) {
    case "reference":
      into.add(expression.rule);
      return;
    case "choice":
      for (const option of expression.options) collectFirst(option, nullable, into);
      return;
    case "repeat":
      collectFirst(expression.body, nullable, into);
      return;
    case "sequence":
      for (const part of expression.parts) {
        collectFirst(part, nullable, into);
        if (!isNullable(part, nullable)) return;
      }
      return;
    case "graph": {
      const edgesOf = Map.groupBy(expression.edges, ({ from }) => from);
      const seen = new Set([0]);
      for (const state of seen)
        for (const { to, label } of edgesOf.get(state) ?? []) {
          collectFirst(label, nullable, into);
          if (isNullable(label, nullable)) seen.add(to);
        }
      return;
    }
  }
}
