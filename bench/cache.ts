/**
 * What a cache of eight bits gives: tokens/s at several depths of context with keys and values in F16 and in Q8_0.
 *
 *   node bench/cache.ts [--model smollm2-q4_1] [--depths 128,4096] [--tokens 64] [--threads 2] [--repeat 7] [--json name]
 *
 * Both stay loaded and answer in turns. A prompt of each depth is read once: what is timed begins with its pages.
 */
import { parseArgs } from "node:util";
import type { Model } from "../src/generate/model.ts";
import { load } from "../src/node.ts";
import { cacheFormats } from "../src/ops/store.ts";
import { inTurn, randomIds } from "./compare/measure.ts";
import { findModel } from "./compare/models.ts";
import { describeRun, progress, wholeNumber, writeResults } from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "smollm2-q4_1" },
    depths: { type: "string", default: "128,4096" },
    tokens: { type: "string", default: "64" },
    threads: { type: "string", default: "2" },
    repeat: { type: "string", default: "7" },
    json: { type: "string" },
  },
});
const depths = values.depths.split(",").map((text) => wholeNumber("depths", text, 1));
const tokens = wholeNumber("tokens", values.tokens, 2);
const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const found = await findModel(values.model);
if (!found) throw new Error(`${values.model}: its file is not on this machine`);
const run = describeRun(threads, repeat);

const contextLength = Math.max(...depths) + tokens + 1;
const models: { readonly format: string; readonly model: Model }[] = [];
for (const cacheFormat of cacheFormats)
  models.push({
    format: cacheFormat,
    model: await load(found.path, { threads, contextLength, cacheFormat }),
  });

const results: object[] = [];
for (const depth of depths) {
  const prompt = randomIds(found, depth, depth);
  const options = { maxTokens: tokens, temperature: 0, ignoreEnd: true };
  const samples = new Map(models.map(({ format }) => [format, [] as number[]]));
  // The first turn reads the prompt, and is not counted.
  for (let turn = -1; turn < repeat; turn++)
    for (const { format, model } of inTurn(models, turn + 1)) {
      progress(`${depth} ${turn + 1}/${repeat}: ${format}`);
      const { timings } = await model.generate(prompt, options).result();
      if (turn >= 0) samples.get(format)?.push(timings.predicted_per_second);
    }
  progress("");
  const [halves, quants] = cacheFormats.map((format) => summarize(samples.get(format) ?? []));
  results.push({ depth, tokensPerSecond: Object.fromEntries(samples) });
  const text = ({ median, spread }: typeof halves) => `${median.toFixed(1)} ± ${spread.toFixed(1)}`;
  console.log(
    `${found.name} at ${depth}: F16 ${text(halves)} tokens/s, Q8_0 ${text(quants)}, ` +
      `${(quants.median / halves.median).toFixed(2)} ×`,
  );
}
for (const { model } of models) model.dispose();
if (values.json !== undefined) writeResults(values.json, { ...run, model: found.name, tokens, results });
