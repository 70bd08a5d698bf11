/**
 * Loads `cria serve` with many clients, of which a third leave in the midst, and says whether every text was right, the
 * metrics add up and memory stays flat:
 *
 *   node scripts/load-server.ts MODEL [--seconds 300] [--connections 200] [--cut 0.33] [-- more arguments of cria serve]
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { runLoad } from "./load/run.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "300" },
    connections: { type: "string", default: "200" },
    cut: { type: "string", default: "0.33" },
    seed: { type: "string", default: "1" },
    tokens: { type: "string", default: "48" },
    variety: { type: "string", default: "60" },
  },
});
const [model, ...more] = positionals;
if (model === undefined) throw new Error("usage: node scripts/load-server.ts MODEL [--seconds 300]");

const program = join(import.meta.dirname, "..", "src", "cli", "main.ts");
const server = spawn(process.execPath, [program, "serve", model, "--port", "0", "--no-page", ...more], {
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  const lines = createInterface(server.stdout);
  const [url] = (
    await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve);
      server.once("exit", (code) => reject(new Error(`cria serve ended with ${code}`)));
    })
  ).split("\n");

  const samples: number[] = [];
  const sampler = setInterval(() => samples.push(residentMegabytes(server.pid ?? 0)), 1000);
  const report = await runLoad(url, {
    connections: Number(values.connections),
    seconds: Number(values.seconds),
    cutShare: Number(values.cut),
    seed: Number(values.seed),
    variety: Number(values.variety),
    maxTokens: Number(values.tokens),
    onTick: (done) => process.stderr.write(`\r${done} answers, ${samples.at(-1)?.toFixed(0)} MB `),
  });
  clearInterval(sampler);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const { wrong, failures, ...counts } = report;
  console.log(`\n${JSON.stringify(counts)}`);
  console.log(`wrong texts: ${wrong.length}`, wrong.slice(0, 3));
  console.log(`failures: ${failures.length}`, failures.slice(0, 3));
  const ended = (reason: string) => metricOf(metrics, "request_success_total", `finished_reason="${reason}"`);
  const single = Number(values.variety);
  const endings = {
    stop: ended("stop"),
    length: ended("length"),
    abort: ended("abort"),
    error: ended("error"),
  };
  console.log(`server: ${JSON.stringify(endings)}, running ${metricOf(metrics, "num_requests_running")}`);
  const whole = endings.stop + endings.length;
  const addsUp =
    metricOf(metrics, "num_requests_running") === 0 &&
    endings.error === 0 &&
    whole >= report.completed + single &&
    whole + endings.abort <= report.completed + report.cut + single;
  console.log(`metrics add up: ${addsUp}`);
  const third = Math.floor(samples.length / 3);
  const [first, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)].map(mean);
  console.log(`memory: ${first.toFixed(0)} MB in the second third, ${last.toFixed(0)} MB in the last`);
  if (wrong.length > 0 || failures.length > 0 || !addsUp || last > first * 1.1 + 20) process.exitCode = 1;
} finally {
  server.kill("SIGTERM");
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0) / Math.max(1, numbers.length);
}

/** Linux only; 0 elsewhere. */
function residentMegabytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function metricOf(metrics: string, name: string, label = ""): number {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(`cria:${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
