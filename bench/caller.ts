/**
 * What the caller's thread feels of a model that generates: a 1 ms timer in Node beside the engine.
 *
 *   node bench/caller.ts [--model 1.1b-q4_0] [--threads 2] [--seconds 10] [--json name]
 *
 * The beat is set twice: by a timer, which the kernel and Node round up to about a millisecond, with nothing else to do;
 * then while the model generates. Reported is how late beats are against the one before plus 1 ms: the median, the
 * hundredth and the thousandth latest, the latest, and how many were more than 3 ms late. On a machine with as many cores
 * as engine threads the caller's thread shares a core with one of them.
 */
import { parseArgs } from "node:util";
import { load, type Model } from "../src/node.ts";
import { findModel } from "./compare/models.ts";
import { describeRun, wholeNumber, writeResults } from "./compare/run.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "1.1b-q4_0" },
    threads: { type: "string", default: "2" },
    seconds: { type: "string", default: "10" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const seconds = wholeNumber("seconds", values.seconds, 1);
const found = await findModel(values.model);
if (!found) throw new Error(`${values.model}: its file is not on this machine`);
const run = describeRun(threads, 1);
using model = await load(found.path, { threads, contextLength: 1024 });

const results = [await beat("nothing", async () => pause()), await beat(values.model, generateUntil(model))];
console.log(
  "| work | beats | median late, ms | 99 % | 99.9 % | latest | over 3 ms |\n|---|---|---|---|---|---|---|",
);
for (const { work, beats, median, p99, p999, latest, over } of results)
  console.log(
    `| ${[work, beats, ...[median, p99, p999, latest].map((ms) => ms.toFixed(2)), over].join(" | ")} |`,
  );
if (values.json !== undefined) writeResults(values.json, { ...run, results });

/** Keeps a beat until `work` is done. */
async function beat(work: string, during: () => Promise<unknown>) {
  const late: number[] = [];
  let going = true;
  let before = performance.now();
  const tick = (): void => {
    const now = performance.now();
    late.push(Math.max(0, now - before - 1));
    before = now;
    if (going) setTimeout(tick, 1);
  };
  setTimeout(tick, 1);
  await during();
  going = false;
  late.sort((a, b) => a - b);
  const at = (share: number) => late[Math.min(late.length - 1, Math.floor(share * late.length))];
  return {
    ...{ work, beats: late.length, median: at(0.5), p99: at(0.99), p999: at(0.999), latest: at(1) },
    over: late.filter((ms) => ms > 3).length,
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function generateUntil(loaded: Model): () => Promise<void> {
  return async () => {
    const signal = AbortSignal.timeout(seconds * 1000);
    const ids = Array.from({ length: 32 }, (_, index) => 300 + index);
    while (!signal.aborted)
      await loaded
        .generate(ids, { maxTokens: 500, ignoreEnd: true, signal })
        .result()
        .catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
  };
}
