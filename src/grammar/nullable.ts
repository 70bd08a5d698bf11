/**
 * Which expressions derive the empty text, and the same expressions without it.
 *
 * A repetition whose body may be empty could go round without advancing; it becomes a repetition of the body without
 * the empty text, with no least count.
 */
import {
  choice,
  type Expression,
  type Graph,
  type GraphEdge,
  never,
  reference,
  repeat,
  sequence,
} from "./expression.ts";

/** The rules that derive the empty text. */
export function nullableRules(rules: ReadonlyMap<string, Expression>): ReadonlySet<string> {
  const found = new Set<string>();
  // A rule is looked at again only when one that it refers to was found.
  const usersOf = new Map<string, string[]>();
  for (const [name, body] of rules)
    for (const used of referencesOf(body)) {
      const users = usersOf.get(used);
      if (users) users.push(name);
      else usersOf.set(used, [name]);
    }
  const work = [...rules.keys()];
  for (let name = work.pop(); name !== undefined; name = work.pop()) {
    const body = rules.get(name);
    if (!body || found.has(name) || !isNullable(body, found)) continue;
    found.add(name);
    for (const user of usersOf.get(name) ?? []) work.push(user);
  }
  return found;
}

function referencesOf(body: Expression): Set<string> {
  const references = new Set<string>();
  const work = [body];
  for (let next = work.pop(); next; next = work.pop()) {
    if (next.kind === "reference") references.add(next.rule);
    else if (next.kind === "sequence") for (const part of next.parts) work.push(part);
    else if (next.kind === "choice") for (const option of next.options) work.push(option);
    else if (next.kind === "repeat") work.push(next.body);
    else if (next.kind === "graph") for (const { label } of next.edges) work.push(label);
  }
  return references;
}

export function isNullable(expression: Expression, rules: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case "literal":
      return expression.text === "";
    case "characters":
      return false;
    case "sequence":
      return expression.parts.every((part) => isNullable(part, rules));
    case "choice":
      return expression.options.some((option) => isNullable(option, rules));
    case "repeat":
      return expression.min === 0 || isNullable(expression.body, rules);
    case "reference":
      return rules.has(expression.rule);
    case "graph":
      return reachesEndEmpty(expression, rules);
  }
}

function reachesEndEmpty(graph: Graph, rules: ReadonlySet<string>): boolean {
  const next = new Map<number, number[]>();
  for (const { from, to, label } of graph.edges)
    if (isNullable(label, rules)) {
      const list = next.get(from);
      if (list) list.push(to);
      else next.set(from, [to]);
    }
  const seen = new Set([0]);
  for (const state of seen) for (const to of next.get(state) ?? []) seen.add(to);
  return seen.has(graph.end);
}

/** The name of a rule's twin that leaves the empty text out. */
export function nonEmptyName(rule: string): string {
  return `${rule} (not empty)`;
}

/** The expression without the empty text; a nullable rule is replaced by its twin, which `use` is told to make. */
export function nonEmpty(
  expression: Expression,
  rules: ReadonlySet<string>,
  use: (rule: string) => void,
): Expression {
  if (!isNullable(expression, rules)) return expression;
  switch (expression.kind) {
    case "literal":
    case "characters":
      return never;
    case "choice":
      return choice(...expression.options.map((option) => nonEmpty(option, rules, use)));
    case "repeat":
      return repeat(nonEmpty(expression.body, rules, use), 1, expression.max);
    case "reference":
      use(expression.rule);
      return reference(nonEmptyName(expression.rule));
    case "sequence": {
      // As a graph, so that many parts take no more than twice as many states.
      const { parts } = expression;
      const edges = parts.map((label, i) => ({ from: i, to: i + 1, label }));
      return nonEmpty({ kind: "graph", stateCount: parts.length + 1, end: parts.length, edges }, rules, use);
    }
    case "graph": {
      // Two copies of the states: nothing read yet, and something read.
      const { stateCount, end } = expression;
      const edges: GraphEdge[] = [];
      for (const { from, to, label } of expression.edges) {
        edges.push({ from, to: to + stateCount, label: nonEmpty(label, rules, use) });
        if (isNullable(label, rules)) edges.push({ from, to, label: sequence() });
        edges.push({ from: from + stateCount, to: to + stateCount, label });
      }
      return { kind: "graph", stateCount: 2 * stateCount, end: end + stateCount, edges };
    }
  }
}
