/**
 * Many answers at once, beside llama.cpp with as many parallel sequences: tokens/s of all together.
 *
 *   node bench/streams.ts [--models 1.1b-q4_0,smollm2-q4_1] [--streams 1,16,32] [--prompt 32] [--tokens 48]
 *     [--threads 2] [--repeat 3] [--json name]
 *
 * Every stream has a prompt of its own. The time is that from the question to the last token of the last stream, so
 * prompts count as well. Both engines stay loaded and take turns; run it on a machine that does nothing else.
 */
import { parseArgs } from "node:util";
import { type EngineName, type EngineProcess, startEngine } from "./compare/engine.ts";
import { inTurn, randomIds } from "./compare/measure.ts";
import { type BenchModel, findModel } from "./compare/models.ts";
import {
  compilePackage,
  describeRun,
  installedEngines,
  progress,
  wholeNumber,
  writeResults,
} from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "1.1b-q4_0,smollm2-q4_1" },
    streams: { type: "string", default: "1,16,32" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "48" },
    threads: { type: "string", default: "2" },
    repeat: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const promptLength = wholeNumber("prompt", values.prompt, 1);
const tokens = wholeNumber("tokens", values.tokens, 2);
const counts = values.streams.split(",").map((text) => wholeNumber("streams", text, 1));
const engines = installedEngines();

interface Row {
  readonly model: string;
  readonly streams: number;
  /** Tokens/s of all streams together, a sample a turn. */
  readonly speeds: Partial<Record<EngineName, number[]>>;
}

const build = compilePackage();
const run = describeRun(threads, repeat);
const rows: Row[] = [];
for (const name of values.models.split(",")) {
  const model = await findModel(name);
  if (model) rows.push(...(await measure(model)));
  else console.error(`${name} is left out: its file is not on this machine`);
}
console.log(["| model | streams |", ...engines.map((name) => ` ${name} tokens/s |`), " ratio |"].join(""));
console.log(`| --- | --- |${" --- |".repeat(engines.length + 1)}`);
for (const { model, streams, speeds } of rows) {
  const texts = engines.map((name) => {
    const { median, spread } = summarize(speeds[name] ?? []);
    return ` ${median.toFixed(1)} ± ${spread.toFixed(1)} |`;
  });
  console.log(`| ${model} | ${streams} |${texts.join("")} ${ratioOf(speeds)} |`);
}
if (values.json !== undefined) writeResults(values.json, { ...run, promptLength, tokens, results: rows });

async function measure(model: BenchModel): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const start = {
    model: model.path,
    threads,
    contextLength: promptLength + tokens + 2,
    sequences: Math.max(...counts),
    build,
  };
  const processes: EngineProcess[] = [];
  for (const name of engines) processes.push(stack.use(await startEngine(name, start)));
  const measured: Row[] = [];
  for (const streams of counts) {
    const row: Row = { model: model.name, streams, speeds: {} };
    // The first turn warms up.
    for (let turn = -1; turn < repeat; turn++)
      for (const engine of inTurn(processes, turn + 1)) {
        progress(`${model.name}, ${streams} streams ${turn + 1}/${repeat}: ${engine.name}`);
        const prompts = Array.from({ length: streams }, (_, i) =>
          randomIds(model, promptLength, 1000 * (turn + 2) + i),
        );
        const { promptMs, decodeMs } = await engine.generate({ prompts, count: tokens });
        if (turn < 0) continue;
        row.speeds[engine.name] ??= [];
        row.speeds[engine.name]?.push((1000 * streams * tokens) / (promptMs + decodeMs));
      }
    measured.push(row);
  }
  progress("");
  return measured;
}

function ratioOf(speeds: Row["speeds"]): string {
  const { cria, "llama.cpp": peer } = speeds;
  return cria && peer ? `${(summarize(cria).median / summarize(peer).median).toFixed(2)} ×` : "";
}
