import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../tiny-model.ts";
import { runCria } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-structured-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

const generate = (...more: string[]) => runCria(["generate", "-m", model, "-p", "x", "--seed", "3", ...more]);

test("a JSON schema, from a file and written out", async () => {
  const schema = {
    type: "object",
    properties: { n: { type: "integer", minimum: 0, maximum: 9 } },
    required: ["n"],
  };
  const path = join(folder, "schema.json");
  writeFileSync(path, JSON.stringify(schema));
  const fromFile = await generate("--json-schema", path);
  expect(fromFile).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\{"n": \d\}$/) });
  expect((await generate("-j", JSON.stringify(schema))).stdout).toBe(fromFile.stdout);
  const { stdout } = await generate("-j", JSON.stringify(schema), "--json");
  expect(JSON.parse(stdout)).toMatchObject({ text: fromFile.stdout, finish_reason: "stop" });
});

test("a grammar and a regular expression", async () => {
  const path = join(folder, "answer.gbnf");
  writeFileSync(path, 'root ::= word ("," word){2}\nword ::= [a-c]{2}\n');
  expect((await generate("--grammar", path)).stdout).toMatch(/^[a-c]{2}(,[a-c]{2}){2}$/);
  expect((await generate("--regex", "[0-9]{3}-(yes|no)")).stdout).toMatch(/^[0-9]{3}-(yes|no)$/);
});

test("mistakes are named before the model is loaded", async () => {
  const wrong = (...more: string[]) => runCria(["generate", "-m", "/nowhere.gguf", "-p", "x", ...more]);
  expect(await wrong("-j", '{"if": {}}')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('#/if: "if" is not'),
  });
  expect(await wrong("-j", "{")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--json-schema: not JSON"),
  });
  expect(await wrong("-j", join(folder, "none.json"))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("no such file"),
  });
  expect(await wrong("--grammar", "root ::= x")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("line 1, column 10"),
  });
  expect(await wrong("--regex", "a(?=b)")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("look-ahead"),
  });
  expect(await wrong("--regex", "a", "-j", "{}")).toMatchObject({ code: 2 });
});
