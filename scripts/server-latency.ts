/**
 * Measures what the server adds to each token over the engine alone: the same greedy answer made by the SDK, and streamed
 * to a client in a process of its own, in turns:
 *
 *   node scripts/server-latency.ts MODEL [--tokens 200] [--rounds 9] [--tokenizer FILE]
 *
 * Both times run from the first token to the last, so prompt and connection do not count.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { load } from "../src/node.ts";
import { listen } from "../src/platform/node/listen.ts";
import { createServer } from "../src/server/create-server.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: "string", default: "200" },
    rounds: { type: "string", default: "9" },
    tokenizer: { type: "string" },
    client: { type: "string" },
  },
});
const tokenCount = Number(values.tokens);
const prompt = "Once upon a time";
const common = { temperature: 0, maxTokens: tokenCount, ignoreEnd: true };

if (values.client !== undefined) await beClient(values.client);
else await measure(positionals[0]);

async function measure(path: string | undefined): Promise<void> {
  if (path === undefined) throw new Error("usage: node scripts/server-latency.ts MODEL");
  using model = await load(path, values.tokenizer === undefined ? {} : { tokenizer: values.tokenizer });
  using server = createServer({ model });
  const listener = await listen(server, { port: 0 });
  const client = spawn(
    process.execPath,
    [import.meta.filename, "--client", listener.url, "--tokens", values.tokens],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const lines = createInterface(client.stdout);
  const alone = async () => {
    let [first, count] = [0, 0];
    for await (const _ of model.generate(prompt, common).tokens())
      if (count++ === 0) first = performance.now();
    return (performance.now() - first) / (count - 1);
  };
  const served = async () => {
    const line = once(lines, "line");
    client.stdin.write("go\n");
    return Number((await line)[0]);
  };
  const times: { alone: number; served: number }[] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    // The first round warms up.
    const pair = { alone: await alone(), served: await served() };
    if (round > 0) times.push(pair);
  }
  const added = times.map((pair) => pair.served - pair.alone);
  console.log(`ms per token, ${times.length} rounds of ${tokenCount} tokens:`);
  console.log(`  engine alone   ${median(times.map((pair) => pair.alone)).toFixed(3)}`);
  console.log(`  through HTTP   ${median(times.map((pair) => pair.served)).toFixed(3)}`);
  console.log(
    `  added          ${median(added).toFixed(3)} (${Math.min(...added).toFixed(3)} to ${Math.max(...added).toFixed(3)})`,
  );
  client.stdin.end();
  await listener.close(0);
}

/** Answers each line of standard input with the milliseconds per token of one streamed answer. */
async function beClient(url: string): Promise<void> {
  for await (const _ of createInterface(process.stdin)) {
    const response = await fetch(`${url}/v1/completions`, {
      method: "POST",
      body: JSON.stringify({
        prompt,
        max_tokens: tokenCount,
        temperature: 0,
        ignore_eos: true,
        stream: true,
      }),
    });
    let [first, last] = [0, 0];
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      if (first === 0) first = performance.now();
      // What comes after the last token is one write with it, or nothing to wait for.
      if (piece.includes('"text":"')) last = performance.now();
    }
    console.log((last - first) / (tokenCount - 1));
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
