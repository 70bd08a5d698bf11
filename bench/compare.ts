/**
 * Cria beside llama.cpp on the same files: speed, time to the first token, memory.
 *
 *   node bench/compare.ts [--models 1.1b-q4_0,15m-q8_0] [--threads 2] [--repeat 5] [--depth 4096] [--json name]
 *
 * Columns are llama-bench's: pp512 processes a prompt of 512 tokens, tg128 makes 128 tokens, @d after so many. Figures
 * are medians ± half the distance of the quartiles; both engines take turns in one run. `--json` also writes
 * bench/results/<name>.json. Run it on a machine that does nothing else.
 *
 * Flow: models.ts (files) → measure.ts (both engines in turns) → report.ts (tables).
 */
import { parseArgs } from "node:util";
import { startLimitMeter } from "./compare/limits.ts";
import { type ModelSamples, measureModel } from "./compare/measure.ts";
import { defaultModels, findModel } from "./compare/models.ts";
import { speedTable, startTable } from "./compare/report.ts";
import {
  compilePackage,
  describeRun,
  installedEngines,
  progress,
  wholeNumber,
  writeResults,
} from "./compare/run.ts";

/** Positions are filled in minutes on larger models, so those need --depth. */
const DEPTH_BY_DEFAULT = 4096;
const SMALL_MODEL_BYTES = 200e6;

const { values } = parseArgs({
  options: {
    models: { type: "string", default: defaultModels.join(",") },
    threads: { type: "string", default: "2" },
    repeat: { type: "string", default: "5" },
    depth: { type: "string" },
    json: { type: "string" },
  },
});

const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const depth = values.depth === undefined ? undefined : wholeNumber("depth", values.depth, 0);
const engines = installedEngines();
const build = compilePackage();
const machine = describeRun(threads, repeat);

await using meter = await startLimitMeter(threads);
const results: ModelSamples[] = [];
for (const name of values.models.split(",")) {
  const model = await findModel(name);
  if (!model) {
    console.error(`${name} is left out: its file is not on this machine`);
    continue;
  }
  const usual = model.byteLength < SMALL_MODEL_BYTES ? DEPTH_BY_DEFAULT : 0;
  const onTurn = (text: string) => progress(`${name}: ${text}`);
  results.push(
    await measureModel(model, meter, { engines, threads, repeat, depth: depth ?? usual, build, onTurn }),
  );
  progress("");
}
console.log(`${speedTable(results, engines)}\n\n${startTable(results, engines)}`);

if (values.json !== undefined) {
  const models = results.map(({ model: { path: _, ...model }, ...samples }) => ({ model, ...samples }));
  writeResults(values.json, { ...machine, results: models });
}
