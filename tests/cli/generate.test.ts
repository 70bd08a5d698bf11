import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dataFile } from "../data.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { runCria, runInShell } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-generate-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

const greedy = (...more: string[]): string[] => ["generate", "-m", model, "--temp", "0", ...more];

async function json(...more: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runCria([...greedy(...more), "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("generate", () => {
  test("into a pipe goes the continuation and nothing else", async () => {
    const { text } = await json("-p", "hello", "-n", "20");
    const ran = await runCria(greedy("-p", "hello", "-n", "20"));
    expect(ran).toEqual({ code: 0, signal: null, stdout: text, stderr: "" });
    expect((text as string).length).toBeGreaterThan(10);
  });

  test("a prompt from an option, a file and a pipe is the same, one last line break dropped", async () => {
    const { stdout } = await runCria(greedy("-p", "two\\nlines", "-n", "8"));
    const path = join(folder, "prompt.txt");
    writeFileSync(path, "two\nlines\n");
    expect((await runCria(greedy("-f", path, "-n", "8"))).stdout).toBe(stdout);
    expect((await runCria(greedy("-n", "8"), { input: "two\nlines\n" })).stdout).toBe(stdout);
    expect((await runCria(greedy("-p", "two\\nlines", "--no-escape", "-n", "8"))).stdout).not.toBe(stdout);
  });

  test("--prompt-cache keeps what was read: the next run reads only what is new", async () => {
    const path = join(folder, "kept.session");
    const first = await json("-p", "hello there", "-n", "5", "--prompt-cache", path);
    expect(first.timings).toMatchObject({ cache_n: 0 });
    const again = await json("-p", "hello there", "-n", "5", "--prompt-cache", path);
    expect(again.ids).toEqual(first.ids);
    // All but the last token, whose logits are not kept.
    expect(again.timings).toMatchObject({ cache_n: (first.prompt_ids as number[]).length - 1, prompt_n: 1 });
    const wrong = await runCria(greedy("-p", "hello", "--prompt-cache", model));
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining(model) });
  });

  test("-ctk and -ctv choose how the context is kept, and a session is of that kind", async () => {
    const wide = join(folder, "wide.gguf");
    const path = join(folder, "packed.session");
    await writeTinyModel(wide, { width: 128 });
    const run = (...types: string[]) =>
      runCria([
        ...["generate", "-m", wide, "-p", "hello", "-n", "5", "--temp", "0", ...types],
        ...["--prompt-cache", path],
      ]);
    const packed = await run("-ctk", "q8_0", "-ctv", "q8_0");
    expect(packed).toMatchObject({ code: 0, stderr: "" });
    expect((await run("-ctk", "q8_0", "-ctv", "q8_0")).stdout).toBe(packed.stdout);
    expect(await run("-ctk", "q8_0")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("keys/values are Q8_0/Q8_0; the model keeps Q8_0/F16"),
    });
    expect(await run("-ctk", "q5_0")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("f16 or q8_0"),
    });
  });

  test("--json has text, ids, log-probabilities, timings and the model's hash", async () => {
    const result = await json("-p", "hello", "-n", "5", "--logprobs", "2", "--prompt-logprobs");
    expect(result).toMatchObject({
      finish_reason: "length",
      model: "Tiny",
      model_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      timings: { cache_n: 0, prompt_n: (result.prompt_ids as number[]).length, predicted_n: 5 },
    });
    const {
      ids,
      prompt_ids: promptIds,
      log_probabilities: logProbabilities,
    } = result as Record<string, number[]>;
    expect(ids.length).toBe(5);
    expect(logProbabilities.length).toBe(5);
    expect(Math.max(...logProbabilities)).toBeLessThan(0);
    const prompt = result.prompt_log_probabilities as (number | null)[];
    expect(prompt.length).toBe(promptIds.length);
    expect(prompt[0]).toBeNull();
    const top = result.top_log_probabilities as { id: number; log_probability: number }[][];
    // Greedy: each token is its own likeliest alternative.
    expect(top.map((list) => list[0].id)).toEqual(ids);
    expect(top.map((list) => list.length)).toEqual([2, 2, 2, 2, 2]);
    expect(Object.keys(result.timings as object)).toEqual(
      expect.arrayContaining(["prompt_per_second", "predicted_ms", "predicted_per_second"]),
    );
  });

  test("a stop text ends the answer before it, across tokens", async () => {
    const { text } = (await json("-p", "hello", "-n", "30")) as { text: string };
    const stop = text.slice(9, 13);
    const { stdout } = await runCria(greedy("-p", "hello", "-n", "30", "--stop", stop));
    expect(stdout).toBe(text.slice(0, text.indexOf(stop)));
    expect((await json("-p", "hello", "-n", "30", "-r", stop)).finish_reason).toBe("stop");
  });

  test("-n -1 goes on until the context is full", async () => {
    const result = await json("-p", "hello", "-n", "-1", "-c", "40");
    expect((result.ids as number[]).length + (result.prompt_ids as number[]).length).toBe(40);
    expect(result.finish_reason).toBe("length");
  });

  test("equal seeds repeat a text, others do not; a bias of -inf bans a token", async () => {
    const sample = async (seed: string): Promise<string> =>
      (await runCria(["generate", "-m", model, "-p", "hello", "-n", "30", "-s", seed])).stdout;
    expect(await sample("1")).toBe(await sample("1"));
    expect(await sample("1")).not.toBe(await sample("2"));
    const { ids } = (await json("-p", "hello", "-n", "10")) as { ids: number[] };
    const banned = await json("-p", "hello", "-n", "10", "--logit-bias", `${ids[0]}-inf`);
    expect(banned.ids).not.toContain(ids[0]);
  });

  test("--ignore-eos chooses no end of text, whatever biases say", async () => {
    const wish = ["-p", "hello", "-n", "5", "--logit-bias", "2+1000"];
    expect(await json(...wish)).toMatchObject({ ids: [], finish_reason: "stop" });
    const { ids } = (await json(...wish, "--ignore-eos")) as { ids: number[] };
    expect(ids).toHaveLength(5);
    expect(ids).not.toContain(2);
  });

  test("special tokens in a prompt are text unless --parse-special", async () => {
    const { prompt_ids: text } = await json("-p", "</s>", "-n", "1");
    const { prompt_ids: special } = await json("-p", "</s>", "-n", "1", "--parse-special");
    expect(text).not.toContain(2);
    expect(special).toContain(2);
  });

  test("llama.cpp's environment variables and long names; the command line beats them", async () => {
    const environment = { LLAMA_ARG_MODEL: model, LLAMA_ARG_N_PREDICT: "3" };
    const three = await runCria(["generate", "-p", "hello", "--temp", "0"], { environment });
    const { text } = await json("-p", "hello", "--n-predict", "3");
    expect(three.stdout).toBe(text);
    const four = await runCria(["generate", "-p", "hello", "--temp", "0", "-n", "4"], { environment });
    expect(four.stdout.length).toBeGreaterThan(three.stdout.length);
  });

  test("a reader that goes away ends the program quietly", async () => {
    const quiet = runInShell(`cria generate -m "${model}" -p hello | head -c 3`);
    expect(quiet.stderr).toBe("");
    expect(quiet.stdout.length).toBe(3);
  });

  const stories = dataFile("models/stories260K/stories260K.bin");
  test.skipIf(!stories)("stories260K: the greedy text of its description, to the byte", async () => {
    const description = readFileSync(dataFile("models/stories260K/stories260K.md") as string, "utf8");
    const expected = /-t 0\.0\n([\s\S]*?)\n```/.exec(description)?.[1];
    const ran = await runCria(["generate", "-m", stories as string, "-n", "256", "--temp", "0"]);
    expect(ran).toEqual({ code: 0, signal: null, stdout: expected, stderr: "" });
  });
});
