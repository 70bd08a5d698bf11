import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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
  const out = join(folder, "out.gguf");
  expect((await runCria(["convert", join(folder, "none.gguf"), out])).code).toBe(1);
  expect(existsSync(out)).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
