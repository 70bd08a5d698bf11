/**
 * Cria in Chromium, beside itself in Node and beside wllama (llama.cpp compiled to WebAssembly) in the same Chromium.
 *
 *   node bench/browser.ts [--models smollm2-q4_1,1.1b-q4_0] [--threads 2] [--repeat 3] [--prompt 256] [--tokens 32]
 *     [--no-wllama] [--json name]
 *
 * wllama is measured with one thread and with as many as Cria; each engine has a page of its own and all take turns.
 * Run it on a machine that does nothing else.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Browser, chromium, type Page } from "playwright-core";
import { askCria, askWllama, loadCria, loadWllama, type Question, type Speeds } from "./browser/page.ts";
import { serveBench } from "./browser/serve.ts";
import { startEngine } from "./compare/engine.ts";
import { inTurn, randomIds } from "./compare/measure.ts";
import { type BenchModel, findModel } from "./compare/models.ts";
import { compilePackage, describeRun, progress, wholeNumber, writeResults } from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const { values } = parseArgs({
  allowNegative: true,
  options: {
    models: { type: "string", default: "smollm2-q4_1,1.1b-q4_0" },
    threads: { type: "string", default: "2" },
    repeat: { type: "string", default: "3" },
    prompt: { type: "string", default: "256" },
    tokens: { type: "string", default: "32" },
    wllama: { type: "boolean", default: true },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const promptLength = wholeNumber("prompt", values.prompt, 2);
const tokens = wholeNumber("tokens", values.tokens, 2);
const contextLength = promptLength + tokens + 2;
const installed = existsSync(join(import.meta.dirname, "node_modules", "@wllama", "wllama"));

/** One that answers, and what it did in each turn. */
interface Contestant {
  readonly name: string;
  readonly loadMs: number;
  readonly speeds: Speeds[];
  ask(question: Question): Promise<Speeds>;
}

const build = compilePackage();
const run = describeRun(threads, repeat);
let modelPath = "";
await using server = await serveBench(build, () => modelPath);
const browser: Browser = await chromium.launch({
  executablePath: process.env.CRIA_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-sync", "--no-first-run", "--disable-background-networking"],
});
const results: object[] = [];
console.log(`Chromium ${browser.version()}; tokens/s, ratio of Cria in Chromium to each\n`);
console.log(
  "| model | engine | load ms | prefill | ratio | decode | ratio |\n| --- | --- | --- | --- | --- | --- | --- |",
);
try {
  for (const name of values.models.split(",")) {
    const model = await findModel(name);
    if (model) await measure(model);
    else console.error(`${name} is left out: its file is not on this machine`);
  }
} finally {
  await browser.close();
}
if (values.json !== undefined)
  writeResults(values.json, { ...run, chromium: browser.version(), promptLength, tokens, results });

async function measure(model: BenchModel): Promise<void> {
  modelPath = model.path;
  const start = { model: model.path, threads, contextLength, sequences: 1, build };
  await using node = await startEngine("cria", start);
  const contestants: Contestant[] = [
    await inPage("Cria in Chromium", loadCria, askCria, threads),
    {
      name: "Cria in Node",
      loadMs: node.ready.loadMs,
      speeds: [],
      async ask({ ids, count }) {
        const { promptMs, decodeMs } = await node.generate({ prompts: [ids], count });
        return { prefill: (1000 * ids.length) / promptMs, decode: (1000 * (count - 1)) / decodeMs };
      },
    },
  ];
  // Only of a real vocabulary can a text of a known number of tokens be made.
  if (values.wllama && installed && model.name.startsWith("smollm2"))
    for (const count of new Set([1, threads]))
      contestants.push(
        await inPage(`wllama, ${count} thread${count > 1 ? "s" : ""}`, loadWllama, askWllama, count),
      );
  // The first turn warms up.
  for (let turn = -1; turn < repeat; turn++)
    for (const contestant of inTurn(contestants, turn + 1)) {
      progress(`${model.name} ${turn + 1}/${repeat}: ${contestant.name}`);
      try {
        const speeds = await contestant.ask({ ids: randomIds(model, promptLength, turn), count: tokens });
        if (turn >= 0) contestant.speeds.push(speeds);
      } catch (error) {
        console.error(`${model.name}, ${contestant.name}: ${(error as Error).message.split("\n")[0]}`);
      }
    }
  progress("");
  const median = (list: readonly Speeds[], kind: keyof Speeds) =>
    summarize(list.map((speeds) => speeds[kind]));
  for (const { name, loadMs, speeds } of contestants) {
    if (speeds.length === 0) continue;
    const cells = (["prefill", "decode"] as const).flatMap((kind) => {
      const own = median(speeds, kind);
      const ratio = median(contestants[0].speeds, kind).median / own.median;
      return [`${own.median.toFixed(1)} ± ${own.spread.toFixed(1)}`, `${ratio.toFixed(2)} ×`];
    });
    console.log(`| ${[model.name, name, loadMs.toFixed(0), ...cells].join(" | ")} |`);
    results.push({ model: model.name, engine: name, loadMs, speeds });
  }
  for (const context of browser.contexts()) await context.close();
}

async function inPage(
  name: string,
  load: (settings: { threads: number; contextLength: number }) => Promise<number>,
  ask: (question: Question) => Promise<Speeds>,
  threadCount: number,
): Promise<Contestant> {
  const page: Page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => console.error(`${name}:`, error));
  page.setDefaultTimeout(0);
  await page.goto(server.url);
  const loadMs = await page.evaluate(load, { threads: threadCount, contextLength });
  return { name, loadMs, speeds: [], ask: (question) => page.evaluate(ask, question) };
}
