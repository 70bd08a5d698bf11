/**
 * What a constraint costs: time for a token with and without one, in turns, on the same model.
 *
 *   node bench/structured.ts [--model 1.1b-q4_0] [--threads 2] [--tokens 64] [--repeat 5] [--json name]
 *
 * The vocabulary of the synthetic models is Llama 2's, 32,000 tokens. The first answer of each constraint, which fills
 * its cache of masks, is reported by itself.
 */
import { parseArgs } from "node:util";
import {
  type Constraint,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  load,
  regexConstraint,
} from "../src/node.ts";
import { findModel } from "./compare/models.ts";
import { describeRun, progress, wholeNumber, writeResults } from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "1.1b-q4_0" },
    threads: { type: "string", default: "2" },
    tokens: { type: "string", default: "64" },
    repeat: { type: "string", default: "5" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const tokens = wholeNumber("tokens", values.tokens, 8);
const repeat = wholeNumber("repeat", values.repeat, 1);
const found = await findModel(values.model);
if (!found) throw new Error(`${values.model}: its file is not on this machine`);
const run = describeRun(threads, repeat);
using model = await load(found.path, { threads, contextLength: 1024 });
const { tokenizer } = model;

const person = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { type: "integer", minimum: 0, maximum: 150 },
    address: {
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
      required: ["street", "city"],
    },
    tags: { type: "array", items: { type: "string" } },
  },
  required: ["name", "age", "address", "tags"],
  additionalProperties: false,
};
const constraints: readonly [string, () => Constraint | undefined][] = [
  ["none", () => undefined],
  ["JSON object", () => jsonObjectConstraint(tokenizer)],
  ["JSON schema", () => jsonSchemaConstraint(tokenizer, person)],
  ["regular expression", () => regexConstraint(tokenizer, /([a-z]+ [0-9]+, )*/)],
];

const compiled = constraints.map(([name, make]) => {
  const began = performance.now();
  const constraint = make();
  return { name, constraint, compileMs: performance.now() - began, first: 0, ms: [] as number[] };
});
const ids = Array.from({ length: 16 }, (_, index) => 300 + index);
for (let turn = 0; turn <= repeat; turn++)
  for (const entry of compiled) {
    progress(`turn ${turn}, ${entry.name}`);
    const { timings } = await model
      .generate(ids, {
        ...{ maxTokens: tokens, temperature: 1, seed: turn },
        ...(entry.constraint ? { constraint: entry.constraint } : { ignoreEnd: true }),
      })
      .result();
    // An answer may be complete after a few tokens; the first comes with the prompt.
    const perToken = timings.predicted_ms / Math.max(1, timings.predicted_n - 1);
    if (turn === 0) entry.first = perToken;
    else entry.ms.push(perToken);
  }
progress("");

const base = summarize(compiled[0].ms).median;
const results = compiled.map(({ name, compileMs, first, ms }) => ({
  ...{ name, compileMs, firstMs: first, ms: summarize(ms) },
  overhead: summarize(ms).median / base - 1,
}));
console.log("| constraint | compiled in, ms | first answer, ms a token | later, ms a token | overhead |");
console.log("|---|---|---|---|---|");
for (const { name, compileMs, firstMs, ms, overhead } of results)
  console.log(
    `| ${name} | ${compileMs.toFixed(1)} | ${firstMs.toFixed(2)} | ${ms.median.toFixed(2)} ± ${ms.spread.toFixed(2)} ` +
      `| ${(100 * overhead).toFixed(1)} % |`,
  );
if (values.json !== undefined) writeResults(values.json, { ...run, results });
