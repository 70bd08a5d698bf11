/**
 * What the server adds to a token: an answer through `cria serve` and a socket, beside the same answer from the engine in a
 * program, in turns.
 *
 *   node bench/server.ts [--model FILE] [--tokens 200] [--repeat 5] [--threads 2] [--json name]
 *
 * By default the embedded model, whose tokens are so fast that what is added shows. Both answer the same prompt greedily;
 * time is from the first token to the last, as the client sees them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { load } from "../src/node.ts";
import { describeRun, wholeNumber, writeResults } from "./compare/run.ts";
import { summarize } from "./compare/statistics.ts";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: join(root, "models", "default.gguf") },
    tokens: { type: "string", default: "200" },
    repeat: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    json: { type: "string" },
  },
});
const threads = wholeNumber("threads", values.threads, 1);
const repeat = wholeNumber("repeat", values.repeat, 1);
const tokens = wholeNumber("tokens", values.tokens, 10);
const run = describeRun(threads, repeat);
const prompt = "Once upon a time";

const args = ["serve", values.model, "--port", "0", "--threads", String(threads), "--no-page"];
const child = spawn(process.execPath, [join(root, "src", "cli", "main.ts"), ...args]);
const url = await new Promise<string>((resolve, reject) => {
  child.stdout.setEncoding("utf8").on("data", (text: string) => resolve(text.trim()));
  child.on("exit", (code) => reject(new Error(`cria serve ended with code ${code}`)));
});
using model = await load(values.model, { threads });

const direct: number[] = [];
const served: number[] = [];
for (let turn = 0; turn <= repeat; turn++) {
  const times = [await engineAnswer(), await servedAnswer()];
  // The first of each warms up.
  if (turn === 0) continue;
  direct.push(times[0]);
  served.push(times[1]);
}
child.removeAllListeners("exit");
child.kill();
const [engine, server] = [summarize(direct), summarize(served)];
const added = server.median - engine.median;
console.log("| engine, ms a token | server, ms a token | added, ms |\n|---|---|---|");
console.log(
  `| ${engine.median.toFixed(3)} ± ${engine.spread.toFixed(3)} | ${server.median.toFixed(3)} ± ${server.spread.toFixed(3)} | ${added.toFixed(3)} |`,
);
if (values.json !== undefined)
  writeResults(values.json, { ...run, model: values.model.split("/").at(-1), engine, server, added });

async function engineAnswer(): Promise<number> {
  const generation = model.generate(prompt, { temperature: 0, maxTokens: tokens, ignoreEnd: true });
  return msPerToken(generation.tokens());
}

/** The plainest client, since it shares the processor with the server. */
async function servedAnswer(): Promise<number> {
  const body = { prompt, temperature: 0, max_tokens: tokens, ignore_eos: true, stream: true };
  const asked = request(`${url}/v1/completions`, {
    ...{ method: "POST", headers: { "content-type": "application/json" } },
  });
  asked.end(JSON.stringify(body));
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the server answered ${response.statusCode}`);
  return msPerToken(response);
}

/** From the first to the last. */
async function msPerToken(items: AsyncIterable<unknown>): Promise<number> {
  let first = 0;
  let last = 0;
  let count = 0;
  for await (const _ of items) {
    last = performance.now();
    if (count++ === 0) first = last;
  }
  return (last - first) / (tokens - 1);
}
