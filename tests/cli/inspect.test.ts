import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyGguf } from "../gguf-copy.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { runCria } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-inspect-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("says shape, formats, tokenizer and memory", async () => {
  const { code, stdout, stderr } = await runCria(["inspect", model, "-c", "128"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = new Map(stdout.split("\n").map((line) => [line.slice(0, 15).trim(), line.slice(15)]));
  expect(lines.get("file")).toMatch(/^GGUF, \d+ kB$/);
  expect(lines.get("architecture")).toBe("llama");
  expect(lines.get("layers")).toBe("2");
  expect(lines.get("heads")).toBe("4 for queries, 2 for keys and values, 8 channels each");
  expect(lines.get("tensors")).toMatch(/^F32 +21 tensors, /);
  expect(lines.get("tokenizer")).toMatch(/^SentencePiece BPE, \d+ tokens; .*adds bos$/);
  expect(lines.get("memory")).toContain("cache of 128 tokens 16.4 kB");
});

test("reckons with the cache's types, and says which this model cannot have", async () => {
  const wide = join(folder, "wide.gguf");
  await writeTinyModel(wide, { width: 128 });
  const memoryOf = async (...types: string[]): Promise<string> =>
    /^memory.*$/m.exec((await runCria(["inspect", wide, "-c", "128", ...types])).stdout)?.[0] ?? "";
  expect(await memoryOf()).toContain("cache of 128 tokens 65.5 kB");
  expect(await memoryOf("-ctk", "q8_0", "-ctv", "q8_0")).toContain("cache of 128 tokens 34.8 kB");
  expect(await memoryOf("--cache-type-v=Q8_0", "-ctk", "f16")).toContain("cache of 128 tokens 50.2 kB");
  const { stdout } = await runCria(["inspect", model, "-ctk", "q8_0"]);
  expect(stdout).toMatch(/^cannot run +a cache of Q8_0 needs heads of a multiple of 32 channels/m);
});

test("--tensors and --metadata list everything, long lists cut", async () => {
  const { stdout } = await runCria(["inspect", model, "--tensors", "--metadata"]);
  expect(stdout).toMatch(/^blk\.1\.ffn_down\.weight +F32 +\[32, 64\] +8\.19 kB$/m);
  expect(stdout).toMatch(/^tokenizer\.ggml\.tokens +\["<unk>", "<s>", "<\/s>", "<0x00>", … \d+ in all\]$/m);
});

test("words out of a file cannot steer the terminal", async () => {
  const path = join(folder, "steering.gguf");
  const name = "a\u001b[2J\nb\u009b31m";
  await copyGguf(model, path, { metadata: { "general.name": name } });
  const { stdout } = await runCria(["inspect", path, "--metadata"]);
  expect(stdout).not.toMatch(/(?!\n)\p{Cc}/u);
  expect(stdout).toMatch(/^name +a\\u001b\[2J\\nb\\u009b31m$/m);
});

test("--json is one object that agrees", async () => {
  const { stdout } = await runCria(["inspect", "-m", model, "--json", "--tensors"]);
  const description = JSON.parse(stdout);
  expect(description).toMatchObject({
    kind: "gguf",
    architecture: "llama",
    config: { layerCount: 2 },
    problems: [],
  });
  expect(description.tensors.length).toBe(21);
  const { weights, cache, buffers, total } = description.memory;
  expect(total).toBe(weights + cache + buffers);
  // In memory, matrices of F32 have whole groups of 8 rows.
  const inMemory = ({ bytes, rows }: { bytes: number; rows: number }): number =>
    rows === 1 ? bytes : (bytes / rows) * 8 * Math.ceil(rows / 8);
  const sizes: number[] = description.tensors.map(inMemory);
  expect(weights).toBe(sizes.reduce((sum, size) => sum + size, 0));
});

test("a file on a server is looked at without downloading it", async () => {
  // A small header, and 20 MB that nobody should ask for.
  const header = readFileSync(model);
  const length = 20_000_000;
  const server = createServer((request, response) => {
    const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? []).map(Number);
    const bytes = Buffer.alloc(Math.min(last, length - 1) - first + 1);
    header.subarray(first).copy(bytes);
    response
      .writeHead(206, { "content-range": `bytes ${first}-${first + bytes.length - 1}/${length}` })
      .end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/folder/tiny.gguf`;
    const { code, stdout, stderr } = await runCria(["inspect", url, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      path: url,
      architecture: "llama",
      bytes: length,
      problems: [],
    });
    expect(JSON.parse(stdout).fetchedBytes).toBeLessThan(2_000_000);
    const offline = await runCria(["inspect", url, "--offline"]);
    expect(offline).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("offline mode is on"),
    });
  } finally {
    server.close();
  }
});

test("another architecture is shown as far as it is understood", async () => {
  const path = join(folder, "other.gguf");
  await writeTinyModel(path, { architecture: "mamba" });
  const { code, stdout } = await runCria(["inspect", path]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^architecture +mamba$/m);
  expect(stdout).toMatch(/^cannot run +.*mamba/m);
  expect(stdout).toMatch(/^tensors +F32 +21 tensors/m);
  expect(stdout).toMatch(/^tokenizer +SentencePiece BPE/m);
});

test("what is no model at all is an error", async () => {
  const path = join(folder, "text.txt");
  writeFileSync(path, "This is only text, and not much of it.\n".repeat(40));
  const { code, stderr } = await runCria(["inspect", path]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .*text\.txt: neither GGUF nor safetensors/);
});
