/**
 * Makes tests/fixtures/peft, an adapter that Python's PEFT wrote and what a model says with it:
 * `node scripts/oracle/peft-adapter.ts PYTHON`, where PYTHON has torch, transformers and peft.
 */
import { execFileSync } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { writeModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { seededNumbers } from "../../tests/random-model.ts";
import { writeTinyModel } from "../../tests/tiny-model.ts";

const python = process.argv[2];
if (python === undefined) throw new Error("expected the path of a Python with torch, transformers and peft");
const fixtures = join(import.meta.dirname, "..", "..", "tests", "fixtures", "peft");
const folder = await mkdtemp(join(tmpdir(), "cria-peft-"));
try {
  const base = join(folder, "base.gguf");
  await writeTinyModel(base);
  const checkpoint = await openCheckpoint(base, nodeFiles);
  await writeModel(checkpoint, join(folder, "base"), nodeFiles, { type: "f32" });
  await checkpoint.file.close();
  const next = seededNumbers(5);
  const ids = [1, ...Array.from({ length: 24 }, () => 259 + Math.floor(Math.abs(next()) * 150))];
  const script = join(import.meta.dirname, "peft-adapter.py");
  const adapter = join(folder, "adapter");
  const output = execFileSync(python, [script, join(folder, "base"), adapter, JSON.stringify(ids)], {
    encoding: "utf8",
  });
  const logProbabilities = JSON.parse(output.trim().split("\n").at(-1) ?? "") as number[];
  for (const name of ["adapter_config.json", "adapter_model.safetensors"])
    await copyFile(join(adapter, name), join(fixtures, name));
  await writeFile(join(fixtures, "expected.json"), `${JSON.stringify({ ids, logProbabilities })}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
