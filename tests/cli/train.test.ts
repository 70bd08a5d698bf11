/** `cria train` as a person runs it: a model from nothing, tuned, aligned, resumed; and what it says of wrong recipes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { writeTinyModel } from "../tiny-model.ts";
import { mainPath, runCria, runInShell, testEnvironment } from "./run-cria.ts";

let folder = "";
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-train-"));
  await writeTinyModel(at("tiny.gguf"));
  const words = ["ba", "de", "ki", "lo", "mu", "ne", "ra", "so", "ti"];
  const lines = Array.from({ length: 40 }, (_, i) => ({
    text: `${words[i % 9]} ${words[(i * 5) % 9]} ${words[(i * 7) % 9]}`,
  }));
  writeFileSync(at("text.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"));
  const chats = words.map((word) => ({ prompt: `say ${word}`, completion: `${word} ${word}` }));
  writeFileSync(at("chat.jsonl"), chats.map((line) => JSON.stringify(line)).join("\n"));
  const pairs = words.map((word) => ({ prompt: `say ${word}`, chosen: word, rejected: "zz" }));
  writeFileSync(at("pairs.jsonl"), pairs.map((line) => JSON.stringify(line)).join("\n"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function recipe(name: string, settings: object): string {
  const path = at(`${name}.yaml`);
  writeFileSync(
    path,
    stringify({
      ...{ name, output: at(name), steps: 6, schedule: { rate: 0.01, warmup: 2 } },
      ...{ batch: { windows: 4, length: 32 }, checkpoint: { every: 2 }, validateEvery: 3 },
      ...settings,
    }),
  );
  return path;
}

const metricsOf = (name: string) =>
  readFileSync(join(at(name), "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a run", () => {
  it("makes a model of nothing that cria can run", async () => {
    const path = recipe("new", {
      kind: "pretrain",
      model: { width: 32, layers: 1, heads: 4, feedForward: 64, context: 32 },
      tokenizer: at("tiny.gguf"),
      data: [{ path: at("text.jsonl"), license: "CC0" }],
      validation: 0.2,
      sample: { every: 6, prompts: ["ba"], maxTokens: 4 },
      type: "q8_0",
    });
    const { code, stderr } = await runCria(["train", "pretrain", path]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain("Memory: ");
    const lines = metricsOf("new");
    expect(lines.flatMap(({ step, loss }) => (loss === undefined ? [] : [step]))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(lines.some(({ validation }) => validation !== undefined)).toBe(true);
    const card = readFileSync(join(at("new"), "README.md"), "utf8");
    expect(card).toContain("## Recipe");
    expect(card).toMatch(/text\.jsonl: CC0/);
    expect(card).toMatch(/an estimated .* kWh/);
    expect(readFileSync(join(at("new"), "report.html"), "utf8")).toContain("uPlot");
    const answer = await runCria([
      "generate",
      "-m",
      join(at("new"), "model.gguf"),
      "-p",
      "ba",
      "-n",
      "4",
      "--temp",
      "0",
    ]);
    expect(answer.code).toBe(0);
  });

  it("is not overwritten, but resumed", async () => {
    const again = await runCria(["train", "pretrain", at("new.yaml")]);
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/holds a run at step 6; resume it/),
    });
    const other = await runCria(["train", "pretrain", at("new.yaml"), "--resume", "--set", "seed=2"]);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/a checkpoint of another recipe/) });
    // As after a kill in step 5 or 6, and once in the midst of writing the model.
    for (const ending of ["json", "safetensors"])
      await rm(join(at("new"), "checkpoints", `step-00000006.${ending}`));
    writeFileSync(join(at("new"), "model.gguf.0123456789ab.tmp"), "half");
    expect(await runCria(["train", "pretrain", at("new.yaml"), "--resume"])).toMatchObject({ code: 0 });
    const names = readdirSync(at("new"));
    expect(names.filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const events = names.filter((name) => name.startsWith("events.")).sort();
    // A start with step 5: TensorBoard forgets the points that the first run had from there on.
    const restart = Buffer.of(0x10, 5, 0x3a, 2, 8, 1);
    expect(readFileSync(join(at("new"), events.at(-1) ?? "")).includes(restart)).toBe(true);
  });

  it("needs no recipe file where options say it all", async () => {
    const options = ["--base", at("tiny.gguf"), "--data", at("chat.jsonl"), "-o", at("plain")];
    const sizes = ["--steps", "2", "--windows", "2", "--length", "32", "--rate", "1e-3", "--lora", "2"];
    const { code, stderr } = await runCria([
      "train",
      "sft",
      ...options,
      ...sizes,
      "--set",
      "lora.dropout=0.1",
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const card = readFileSync(join(at("plain"), "README.md"), "utf8");
    expect(card).toMatch(/^# plain$/m);
    expect(card).toMatch(/rank: 2[\s\S]*dropout: 0\.1/);
    const short = await runCria(["train", "sft", ...options]);
    expect(short).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/options: steps: .*expected number/),
    });
  });

  it("gives the same bits with one thread and three, and when layers are computed again", async () => {
    const weightsOf = async (name: string, ...options: string[]) => {
      const path = recipe(name, {
        ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
        batch: { windows: 4, length: 64, accumulate: 2 },
      });
      expect(await runCria(["train", "sft", path, ...options])).toMatchObject({ code: 0 });
      return readFileSync(join(at(name), "checkpoints", "step-00000006.safetensors"));
    };
    const one = await weightsOf("one", "-t", "1");
    expect(await weightsOf("three", "-t", "3")).toEqual(one);
    expect(await weightsOf("again", "-t", "2", "--set", "gradientCheckpointing=true")).toEqual(one);
  });

  it("takes the memory that it says before it starts, within a fifth", async () => {
    // Large enough for its own parts to outweigh what Node collects late.
    const model = join(import.meta.dirname, "..", "..", "models", "default.gguf");
    const options = ["--base", model, "--data", at("text.jsonl"), "-o", at("memory")];
    const { code, stderr } = await runCria([
      ...["train", "pretrain", ...options, "--steps", "1", "--windows", "32", "--length", "256", "-t", "2"],
    ]);
    expect(code, stderr).toBe(0);
    const bytes = (pattern: RegExp) => {
      const [, amount, unit] = pattern.exec(stderr) ?? [];
      return Number(amount) * (unit === "GB" ? 1e9 : 1e6);
    };
    const ratio =
      bytes(/([\d.]+) (MB|GB) of memory at the peak/) / bytes(/Memory: ([\d.]+) (MB|GB) \(program/);
    expect(ratio).toBeGreaterThan(1 / 1.2);
    expect(ratio).toBeLessThan(1.2);
  });

  it("tunes adapters beside a base, for llama.cpp and PEFT, and merges them", async () => {
    const path = recipe("tuned", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
      lora: { rank: 2, alpha: 4, dropout: 0.1 },
      sample: { every: 6, prompts: ["say ba"], maxTokens: 4 },
    });
    expect(await runCria(["train", "sft", path])).toMatchObject({ code: 0 });
    expect(metricsOf("tuned").at(-1)).toMatchObject({ step: 6, samples: [{ prompt: "say ba" }] });
    expect(readdirSync(at("tuned"))).not.toContain("sample.gguf");
    expect(readdirSync(join(at("tuned"), "adapter")).sort()).toEqual([
      ...["README.md", "adapter_config.json", "adapter_model.safetensors"],
    ]);
    const adapter = join(at("tuned"), "adapter.gguf");
    const merged = await runCria([...["convert", at("tiny.gguf"), at("merged.gguf"), "--lora", adapter]]);
    expect(merged).toMatchObject({ code: 0 });
    // The run of options alone made another file of that name.
    const both = ["--lora", adapter, "--lora", join(at("plain"), "adapter.gguf")];
    const answer = await runCria(["generate", "-m", at("tiny.gguf"), "-p", "say ba", "-n", "2", ...both]);
    expect(answer, answer.stderr).toMatchObject({ code: 0 });
    const perplexity = async (...options: string[]) => {
      const text = ["-f", at("text.jsonl"), "-c", "32", "--json"];
      const { stdout } = await runCria(["perplexity", ...text, ...options]);
      return (JSON.parse(stdout) as { perplexity: number }).perplexity;
    };
    const beside = await perplexity("-m", at("tiny.gguf"), "--lora", adapter);
    expect(beside / (await perplexity("-m", at("merged.gguf")))).toBeCloseTo(1, 3);
    expect(Math.abs(beside - (await perplexity("-m", at("tiny.gguf"))))).toBeGreaterThan(1);
  });

  it("says nothing of a loss that there is not: a window within a long question teaches nothing", async () => {
    const turns = ["say ba", "ba", "de ".repeat(150), "de"].map((content, index) => ({
      role: index % 2 === 0 ? "user" : "assistant",
      content,
    }));
    writeFileSync(at("long.jsonl"), JSON.stringify({ messages: turns }));
    const path = recipe("long", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("long.jsonl") }], validation: 0 },
      ...{ batch: { windows: 1, length: 32 }, steps: 4, checkpoint: { every: 100 } },
    });
    const { code, stderr } = await runCria(["train", "sft", path]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const losses = metricsOf("long").flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
    expect(losses).toEqual([expect.any(Number), null, null, null]);
    expect(stderr).not.toContain("NaN");
    expect(readFileSync(join(at("long"), "README.md"), "utf8")).toContain("training loss, last step | – |");
    const events = readdirSync(at("long")).find((name) => name.startsWith("events.")) ?? "";
    // NaN as a float of 4 bytes.
    expect(readFileSync(join(at("long"), events)).includes(Buffer.of(0, 0, 0xc0, 0x7f))).toBe(false);
  });

  it("keeps what it has done at Ctrl-C, and says so", async () => {
    const path = recipe("stopped", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
      ...{ steps: 100_000, checkpoint: { every: 100_000 } },
    });
    const child = spawn(process.execPath, [mainPath, "train", "sft", path], { env: testEnvironment() });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (text.includes("step 1 of")) child.kill("SIGINT");
    });
    const [code] = (await once(child, "close")) as [number];
    expect({ code, stderr }).toMatchObject({ code: 130 });
    const step = /\nStopped after step (\d+); go on with --resume\n/.exec(stderr)?.[1] ?? "";
    expect(readdirSync(join(at("stopped"), "checkpoints"))).toEqual([
      ...[`step-${step.padStart(8, "0")}.json`, `step-${step.padStart(8, "0")}.safetensors`],
    ]);
    expect(metricsOf("stopped").at(-1)).toMatchObject({ step: Number(step) });
  });

  it("writes a built-in chat template as text into the model", async () => {
    const path = recipe("chatml", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
      ...{ steps: 1, chatTemplate: "chatml" },
    });
    expect(await runCria(["train", "sft", path])).toMatchObject({ code: 0 });
    const { stdout } = await runCria(["inspect", join(at("chatml"), "model.gguf"), "--metadata"]);
    expect(stdout).toMatch(/tokenizer\.chat_template.*for message in messages/);
  });

  it("learns preferences", async () => {
    const path = recipe("aligned", {
      ...{ kind: "dpo", base: at("tiny.gguf"), data: [{ path: at("pairs.jsonl") }], validation: 0.2 },
      ...{ steps: 10, schedule: { rate: 0.01, warmup: 1 }, batch: { windows: 8, length: 64 } },
    });
    expect(await runCria(["train", "dpo", path])).toMatchObject({ code: 0 });
    const heldOut = metricsOf("aligned").flatMap(({ validation }) => validation ?? []);
    // Before the first step the model is the base: all margins are 0.
    expect(heldOut[0]).toMatchObject({ loss: expect.closeTo(Math.log(2), 5), margin: expect.closeTo(0, 5) });
    expect(heldOut.at(-1)).toMatchObject({ accuracy: 1, likelier: 1 });
    const losses = metricsOf("aligned").flatMap(({ loss }) => (typeof loss === "number" ? [loss] : []));
    expect(losses[0]).toBeCloseTo(Math.log(2), 3);
    expect(losses.at(-1)).toBeLessThan(0.5);
  });
});

describe("a disk that takes no more", () => {
  it("ends the run with a clear error; the checkpoints before it stay, and the run goes on from them", async () => {
    const settings = {
      ...{ kind: "pretrain", tokenizer: at("tiny.gguf"), data: [{ path: at("text.jsonl") }] },
      ...{ model: { width: 32, layers: 1, heads: 4, feedForward: 64, context: 32 }, validation: 0.2 },
    };
    const path = recipe("full", settings);
    expect(await runCria(["train", "pretrain", path])).toMatchObject({ code: 0 });
    const checkpoints = join(at("full"), "checkpoints");
    const weights = readFileSync(join(at("full"), "model.gguf"));
    for (const name of ["step-00000006.json", "step-00000006.safetensors"]) await rm(join(checkpoints, name));
    const before = readdirSync(checkpoints);
    // No file may grow beyond 100 blocks: what the system says of a full disk, at a place that a test can choose.
    const resume = `cria train pretrain '${path}' --resume`;
    const full = runInShell(`trap '' XFSZ; ulimit -f 100; ${resume}`);
    expect(full).toMatchObject({ code: 1, stderr: expect.stringMatching(/error: .*step-00000006/) });
    expect(readdirSync(checkpoints)).toEqual(before);
    expect(runInShell(resume)).toMatchObject({ code: 0 });
    expect(readFileSync(join(at("full"), "model.gguf"))).toEqual(weights);
  });
});

describe("a line of metrics.jsonl that cannot be written", () => {
  it("ends the run with one line that names the file", async () => {
    const path = recipe("metrics", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
      ...{ steps: 200, checkpoint: { every: 1000 }, validateEvery: 1000 },
    });
    // 16 blocks hold the data's tokens, but not 200 lines.
    const { code, stderr } = runInShell(`trap '' XFSZ; ulimit -f 16; cria train sft '${path}'`);
    expect({ code, stderr }).toMatchObject({ code: 1 });
    expect(stderr.trim().split("\n").at(-1)).toMatch(/^error: .*metrics\.jsonl: /);
  });
});

describe("says what is wrong", () => {
  const base = { kind: "sft", base: "tiny.gguf", data: [{ path: "x.jsonl" }] };
  it.each([
    ["an unknown setting", { ...base, stesp: 1 }, /stesp/],
    ["a kind that is none", { ...base, kind: "sftt" }, /kind: expected pretrain, sft or dpo/],
    ["a rate below 0", { ...base, schedule: { rate: -1 } }, /schedule\.rate/],
    ["a mean that forgets nothing", { ...base, adamW: { beta1: 1 } }, /adamW\.beta1: .*<1/],
    ["a seed that is too large", { ...base, seed: 1_700_000_000_000 }, /seed: .*<=137438953471/],
    ["a format that is none", { ...base, chatTemplate: "chatlm" }, /chatTemplate: expected Jinja .*chatml/],
    ["preferences without a rate", { ...base, kind: "dpo", schedule: undefined }, /schedule\.rate: .*number/],
    ["neither model nor base", { kind: "pretrain", data: [{ path: "x" }] }, /either `model`/],
  ])("%s", async (_, settings, message) => {
    const { code, stderr } = await runCria(["train", "sft", recipe("wrong", settings)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it.each([
    ["pairs for sft", "sft", () => ["--data", at("pairs.jsonl")], /pairs\.jsonl: holds pairs .* for dpo/],
    ["other data for dpo", "dpo", () => ["--data", at("chat.jsonl")], /chat\.jsonl: expected pairs/],
    ["a folder of data", "sft", () => ["--data", folder], /expected a file, but it is a folder/],
    ["a file for the run's folder", "sft", () => ["-o", at("tiny.gguf")], /tiny\.gguf: expected a folder/],
    ["a window beyond the context", "sft", () => ["--length", "257"], /batch\.length: 257 .* context is 256/],
    [
      "no chat format",
      "sft",
      () => ["--base", at("new/model.gguf")],
      /chatTemplate: the data hold conversations/,
    ],
    ["no template", "sft", () => ["--set", "chatTemplate=none.jinja"], /none\.jinja: no such file/],
  ])("%s", async (_, kind, options, message) => {
    const plain = [
      "--base",
      at("tiny.gguf"),
      "--data",
      at("chat.jsonl"),
      "-o",
      at("refused"),
      "--rate",
      "1e-3",
    ];
    const { code, stderr } = await runCria(["train", kind, ...plain, "--steps", "1", ...options()]);
    expect({ code, stderr }).toMatchObject({ code: 1 });
    expect(stderr).toMatch(new RegExp(`^(.* left out.*\\n)?error: .*${message.source}`));
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it("data that is not there, or empty", async () => {
    const missing = recipe("missing", { ...base, base: at("tiny.gguf"), data: [{ path: at("none.jsonl") }] });
    expect(await runCria(["train", "sft", missing])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("none.jsonl"),
    });
    writeFileSync(at("empty.jsonl"), "\n");
    const empty = recipe("empty", { ...base, base: at("tiny.gguf"), data: [{ path: at("empty.jsonl") }] });
    expect(await runCria(["train", "sft", empty])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("holds no example"),
    });
  });

  it("a loss that is no number any more, with the checkpoint before it kept", async () => {
    const path = recipe("diverged", {
      ...{ kind: "sft", base: at("tiny.gguf"), data: [{ path: at("chat.jsonl") }], validation: 0 },
      ...{ steps: 60, schedule: { rate: 1e30, warmup: 0, shape: "constant" }, checkpoint: { every: 1 } },
    });
    const { code, stderr } = await runCria(["train", "sft", path]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/step \d+: the (loss|norm of the gradients) is/),
    });
    expect(existsSync(join(at("diverged"), "checkpoints"))).toBe(true);
  });
});
