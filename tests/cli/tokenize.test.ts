import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyGguf } from "../gguf-copy.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { runCria } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-tokenize-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function tokenize(...more: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCria(["tokenize", "-m", model, ...more]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

describe("tokenize", () => {
  test("ids and pieces, one a line, control characters escaped", async () => {
    const lines = (await tokenize("-p", "ba\\n")).trimEnd().split("\n");
    expect(lines.map((line) => line.trim().split(/ +/)[1])).toEqual(["<s>", "▁ba", "<0x0A>"]);
  });

  test("--ids, --count, --json and --no-bos agree", async () => {
    const { ids, pieces, count } = JSON.parse(await tokenize("-p", "badeba", "--json"));
    expect(pieces[0]).toBe("<s>");
    expect(count).toBe(ids.length);
    expect(await tokenize("-p", "badeba", "--ids")).toBe(`[${ids.join(", ")}]\n`);
    expect(await tokenize("-p", "badeba", "--count")).toBe(`${ids.length}\n`);
    expect(JSON.parse(await tokenize("-p", "badeba", "--ids", "--no-bos"))).toEqual(ids.slice(1));
  });

  test("--parse-special reads control tokens", async () => {
    expect(JSON.parse(await tokenize("-p", "</s>", "--ids", "--parse-special"))).toContain(2);
    expect(JSON.parse(await tokenize("-p", "</s>", "--ids"))).not.toContain(2);
  });

  test("a vocabulary without weights is enough, and so is a tokenizer's file", async () => {
    const [bare, converted] = [join(folder, "bare.gguf"), join(folder, "converted")];
    await copyGguf(model, bare, { bare: true });
    await runCria(["convert", model, converted]);
    const wanted = await tokenize("-p", "bada", "--ids");
    for (const from of [
      ["-m", bare],
      ["--tokenizer", join(converted, "tokenizer.model")],
    ])
      expect(await runCria(["tokenize", ...from, "-p", "bada", "--ids"])).toMatchObject({
        code: 0,
        stdout: wanted,
      });
  });

  test("what is piped in is read as a file is: a mark at the start stays, and what is no text is refused", async () => {
    const piped = (bytes: Uint8Array) => runCria(["tokenize", "-m", model, "--ids"], { input: bytes });
    const path = join(folder, "marked.txt");
    writeFileSync(path, "\ufeffba");
    expect((await piped(Buffer.from("\ufeffba"))).stdout).toBe(await tokenize("-f", path, "--ids"));
    expect(await piped(Uint8Array.of(97, 255, 254))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("standard input: not UTF-8"),
    });
  });

  test("--decode gives the text back", async () => {
    const ids = await tokenize("-p", "Gödel's\\tbadeba 🦙", "--ids");
    expect(await tokenize("-p", ids, "--decode")).toBe("Gödel's\tbadeba 🦙");
    const { code, stderr } = await runCria(["tokenize", "-m", model, "--decode", "-p", "1 99999"]);
    expect(code).toBe(1);
    expect(stderr).toContain('"99999" is no token id');
  });
});

test("perplexity prints llama.cpp's line, and the same number as JSON", async () => {
  const path = join(folder, "text.txt");
  writeFileSync(path, "ba de ki lo mu na re si to. ".repeat(20));
  const { code, stdout } = await runCria(["perplexity", "-m", model, "-f", path, "-c", "32"]);
  expect(code).toBe(0);
  const [, value] = /^Final estimate: PPL = (\d+\.\d{4}) \+\/- \d+\.\d{5}\n$/.exec(stdout) ?? [];
  const json = JSON.parse(
    (await runCria(["perplexity", "-m", model, "-f", path, "--chunk", "32", "--json"])).stdout,
  );
  expect(json.perplexity.toFixed(4)).toBe(value);
  // Of each chunk's second half all but its first id, which follows no scored one.
  expect(json.tokens).toBe(json.chunks * 15);
});
