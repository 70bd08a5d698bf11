import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openGguf } from "../../src/files/gguf/read.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { copyGguf } from "../gguf-copy.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { runCria } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-convert-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function greedy(path: string): Promise<string> {
  const { code, stdout } = await runCria(["generate", "-m", path, "-p", "hello", "-n", "30", "--temp", "0"]);
  expect(code).toBe(0);
  return stdout;
}

test("the same model as safetensors, and as GGUF again, gives the same text", async () => {
  const safetensors = join(folder, "as-safetensors");
  const gguf = join(folder, "again.gguf");
  expect(await runCria(["convert", model, safetensors])).toMatchObject({ code: 0, stdout: "" });
  expect(await runCria(["convert", safetensors, gguf])).toMatchObject({ code: 0, stdout: "" });
  const text = await greedy(model);
  expect(await greedy(safetensors)).toBe(text);
  expect(await greedy(gguf)).toBe(text);
});

test("what the model's maker recommends is the default, and goes with it from format to format", async () => {
  const [greedyFile, safetensors, gguf] = ["greedy.gguf", "greedy", "greedy-again.gguf"].map((name) =>
    join(folder, name),
  );
  await writeTinyModel(greedyFile, { sampling: { temperature: 0, topK: 30 } });
  await runCria(["convert", greedyFile, safetensors]);
  await runCria(["convert", safetensors, gguf]);
  const text = await greedy(model);
  for (const path of [greedyFile, safetensors, gguf]) {
    const { stdout } = await runCria(["generate", "-m", path, "-p", "hello", "-n", "30", "-s", "1"]);
    expect(stdout).toBe(text);
    expect((await runCria(["inspect", path])).stdout).toMatch(/sampling +temperature 0, topK 30/);
  }
  const hot = await runCria(["generate", "-m", gguf, "-p", "hello", "-n", "30", "--temp", "1", "-s", "1"]);
  expect(hot.stdout).not.toBe(text);
});

test("--type changes how matrices are stored", async () => {
  const half = join(folder, "half.gguf");
  await runCria(["convert", model, half, "--type", "f16"]);
  const { formats } = JSON.parse((await runCria(["inspect", half, "--json"])).stdout);
  expect(formats).toMatchObject([
    { format: "F16", tensors: 16 },
    { format: "F32", tensors: 5 },
  ]);
});

test("a name that says neither GGUF nor folder is a usage error; a missing model leaves nothing behind", async () => {
  expect((await runCria(["convert", model, join(folder, "out.bin")])).code).toBe(2);
  // An unset variable of a shell: the folder one stands in is not meant.
  expect((await runCria(["convert", model, ""])).code).toBe(2);
  const out = join(folder, "out.gguf");
  expect((await runCria(["convert", join(folder, "none.gguf"), out])).code).toBe(1);
  expect(existsSync(out)).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

async function tokensOf(path: string): Promise<readonly unknown[]> {
  const file = await openGguf(await nodeFiles.open(path));
  await file.close();
  return file.metadata.get("tokenizer.ggml.tokens") as readonly unknown[];
}

test("rows of the embedding without a piece are never chosen, and get names in a GGUF", async () => {
  const [padded, safetensors, gguf] = ["padded.gguf", "padded", "padded-again.gguf"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await writeTinyModel(padded, { padding: 7 });
  await runCria(["convert", padded, safetensors]);
  await runCria(["convert", safetensors, gguf]);
  const { length } = await tokensOf(padded);
  expect((await tokensOf(gguf)).slice(length - 1)).toEqual([
    expect.stringMatching(/^▁/),
    ...Array.from({ length: 7 }, (_, index) => `[PAD${length + index}]`),
  ]);
  const text = await greedy(padded);
  expect(text).not.toContain("PAD");
  expect(await greedy(gguf)).toBe(text);
});

test("--tokenizer replaces a GGUF's own, and one without any takes that beside it", async () => {
  const folderOf = join(folder, "tokenizers");
  await runCria(["convert", model, folderOf]);
  const bare = join(folderOf, "bare.gguf");
  const keys = [...(await metadataKeys(model))].filter((key) => key.startsWith("tokenizer."));
  await copyGguf(model, bare, { metadata: Object.fromEntries(keys.map((key) => [key, undefined])) });
  const whole = join(folder, "whole.gguf");
  expect(await runCria(["convert", bare, whole])).toMatchObject({ code: 0 });
  expect(await tokensOf(whole)).toEqual(await tokensOf(model));

  const words = Array.from({ length: 3000 }, (_, index) => ((index * 7919) % 9973).toString(36)).join(" ");
  writeFileSync(join(folder, "words.txt"), words);
  const other = join(folder, "other.model");
  const size = (await tokensOf(model)).length;
  const train = ["train", "tokenizer", join(folder, "words.txt"), "--vocabulary", String(size), "-o", other];
  expect(await runCria(train)).toMatchObject({ code: 0 });
  const renamed = join(folder, "renamed.gguf");
  await runCria(["convert", model, renamed, "--tokenizer", other]);
  expect(await tokensOf(renamed)).not.toEqual(await tokensOf(model));
  const ids = async (...from: string[]) =>
    (await runCria(["tokenize", ...from, "-p", words.slice(0, 40), "--ids"])).stdout;
  expect(await ids("-m", renamed)).toBe(await ids("--tokenizer", other));
});

test("whether a text begins with bos is carried over, beside a tokenizer.model too", async () => {
  const [given, bare, again] = ["no-bos", "no-bos.gguf", "no-bos-again"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await runCria(["convert", model, given]);
  const settings = join(given, "tokenizer_config.json");
  writeFileSync(
    settings,
    JSON.stringify({ ...JSON.parse(readFileSync(settings, "utf8")), add_bos_token: false }),
  );
  await runCria(["convert", given, bare]);
  await runCria(["convert", bare, again]);
  const ids = async (from: string) =>
    (await runCria(["tokenize", "-m", from, "-p", "hello", "--ids"])).stdout;
  expect(await ids(model)).toMatch(/^\[1, /);
  for (const path of [given, bare, again]) expect(await ids(path)).toMatch(/^\[(?!1,)/);
});

test("a tokenizer with more tokens than the model has rows is refused before anything is written", async () => {
  const out = join(folder, "few.gguf");
  const tokens = (await tokensOf(model)) as string[];
  const more = join(folder, "more.gguf");
  await copyGguf(model, more, {
    metadata: {
      "tokenizer.ggml.tokens": [...tokens, "<more>"],
      "tokenizer.ggml.scores": new Float32Array(tokens.length + 1),
      "tokenizer.ggml.token_type": Int32Array.from([...tokens, ""], (piece) => (/^<0x/.test(piece) ? 6 : 1)),
    },
  });
  const { code, stderr } = await runCria(["convert", more, out]);
  expect(code).toBe(1);
  expect(stderr).toContain(`the tokenizer has ${tokens.length + 1} tokens, but the model ${tokens.length}`);
  expect(existsSync(out)).toBe(false);
});

async function metadataKeys(path: string): Promise<Iterable<string>> {
  const file = await openGguf(await nodeFiles.open(path));
  await file.close();
  return file.metadata.keys();
}

test("a folder that holds parts of another model is refused; the same model may be written again", async () => {
  const used = join(folder, "used");
  expect(await runCria(["convert", model, used])).toMatchObject({ code: 0 });
  expect(await runCria(["convert", model, used])).toMatchObject({ code: 0 });
  writeFileSync(join(used, "tokenizer.json"), "{}");
  expect(await runCria(["convert", model, used])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("tokenizer.json: a part of another model"),
  });
});

test.each([
  ["a rule for words that has no pattern", { "tokenizer.ggml.model": "gpt2" }, "rule"],
  ["a rope that turns a part of the channels", { "llama.rope.dimension_count": 4 }, "rope turns 4 of 8"],
])("what safetensors cannot say is refused before weights are written: %s", async (_, metadata, message) => {
  const [changed, out] = [join(folder, "changed.gguf"), join(folder, "refused")];
  await copyGguf(model, changed, { metadata });
  const { code, stderr } = await runCria(["convert", changed, out]);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
  expect(existsSync(out)).toBe(false);
});
