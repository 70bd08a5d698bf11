/**
 * The models that engines are compared on. Weights are random but for SmolLM2 and stories260K: speed depends on shape
 * and format, not on values.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tensorBytes } from "../../src/files/stored-tensor.ts";
import { Cache } from "../../src/model/cache.ts";
import { resolveCacheFormats } from "../../src/model/cache-format.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = join(tmpdir(), "cria-bench");

export interface BenchModel {
  readonly name: string;
  readonly path: string;
  readonly byteLength: number;
  /** Positions that the model has. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Weights that a token is multiplied with, embedding left out. */
  readonly productCount: number;
  /** Bytes of these weights. */
  readonly productBytes: number;
  /** Bytes that one position takes in the cache, in f16. */
  readonly cacheBytes: number;
}

/** How each file is found, or made; undefined where what it is made from is missing. */
const SOURCES: Readonly<Record<string, () => string | undefined>> = {
  "smollm2-q4_1": () => present(join(root, ".fixtures", "SmolLM2-135M-Instruct.Q4_1.gguf")),
  "1.1b-q4_0": () => synthetic("1.1b", "Q4_0"),
  "1.1b-q4_k": () => synthetic("1.1b", "Q4_K"),
  "1.1b-q8_0": () => synthetic("1.1b", "Q8_0"),
  "15m-q8_0": () => synthetic("15m", "Q8_0"),
  "7b-q4_0": () => synthetic("7b", "Q4_0"),
  "7b-q8_0": () => synthetic("7b", "Q8_0"),
  stories260k: stories,
};

/** Measured when none is named: what fits any machine. */
export const defaultModels: readonly string[] = Object.keys(SOURCES).filter((name) => !name.startsWith("7b"));

/** Undefined where the file is missing. @throws {Error} for a name that is not known. */
export async function findModel(name: string): Promise<BenchModel | undefined> {
  const find = SOURCES[name];
  if (!find) throw new Error(`no model ${name}; expected one of ${Object.keys(SOURCES).join(", ")}`);
  const path = find();
  if (path === undefined) return undefined;
  const { file, config, weights } = await openCheckpoint(path, nodeFiles);
  await file.close();
  // A row of the embedding is all that a token reads of it, unless it is the head too.
  const multiplied = [...weights.values()].filter(
    (tensor) => tensor.rows > 1 && (tensor.name !== "token_embd.weight" || !weights.has("output.weight")),
  );
  return {
    name,
    path,
    byteLength: statSync(path).size,
    contextLength: config.contextLength,
    vocabularySize: config.vocabularySize,
    productCount: multiplied.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
    productBytes: multiplied.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
    cacheBytes: Cache.bytesOf(config, 1, resolveCacheFormats(config)),
  };
}

function present(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

/** A file of random weights, written by the tool beside the shared data. */
function synthetic(size: string, format: string): string | undefined {
  const tool = join(root, "..", "shared", "tools", "synth-gguf.mjs");
  const path = join(folder, `${size}-${format}.gguf`);
  if (existsSync(path)) return path;
  if (!existsSync(tool)) return undefined;
  mkdirSync(folder, { recursive: true });
  execFileSync(process.execPath, [tool, size, format, path], { stdio: "ignore" });
  return path;
}

/** llama2.c's model as a GGUF file of f32. */
function stories(): string | undefined {
  const data = join(process.env.CRIA_DATA ?? join(root, "..", "shared", "data"), "models", "stories260K");
  const path = join(folder, "stories260K.gguf");
  if (existsSync(path)) return path;
  if (!existsSync(data)) return undefined;
  mkdirSync(folder, { recursive: true });
  const cli = join(root, "src", "cli", "main.ts");
  const tokenizer = ["--tokenizer", join(data, "tok512.bin")];
  execFileSync(process.execPath, [cli, "convert", join(data, "stories260K.bin"), path, ...tokenizer], {
    stdio: "ignore",
  });
  return path;
}
