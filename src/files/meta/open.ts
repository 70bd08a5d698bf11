/**
 * Opens a checkpoint as Meta publishes it: a folder of `consolidated.00.pth`, `consolidated.01.pth`, … (one file per
 * model-parallel GPU of the training) and `params.json`.
 *
 * Flow: FileSystem → pth.ts (each shard) → merge.ts → openMeta (TensorFile) → model/weights.ts.
 * Source: meta-llama/llama, llama/generation.py; Llama 2's 7B, 13B and 70B come in 1, 2 and 8 files.
 */
import { CriaError } from "../../shared/errors.ts";
import type { ByteSource, FileSystem } from "../byte-source.ts";
import type { StoredTensor, TensorFile } from "../stored-tensor.ts";
import { mergeShards } from "./merge.ts";
import { openPth } from "./pth.ts";

const SHARD_NAME = /^consolidated\.(\d+)\.pth$/;
const LARGEST_PARAMS_BYTES = 1 << 20;
/** Numbers have two digits; a server may have something under every name. */
const MOST_SHARDS = 100;

/**
 * Opens a folder, or one of its `.pth` files: all shards are found by their names and joined. Rows are read on demand.
 *
 * @throws {CriaError} "not-found" for a missing shard or params.json, else "bad-file" or "unsupported".
 */
export async function openMeta(folderOrFile: string, files: FileSystem): Promise<TensorFile> {
  const { folder, paths } = await findShards(folderOrFile, files);
  const config = await readParams(files.join(folder, "params.json"), files);
  const sources: ByteSource[] = [];
  const close = async (): Promise<void> => {
    for (const source of sources) await source.close();
  };
  try {
    const shards: ReadonlyMap<string, StoredTensor>[] = [];
    for (const path of paths) {
      const source = await files.open(path);
      sources.push(source);
      shards.push(await openPth(source));
    }
    const name = (sources[0] as ByteSource).name;
    const width = shards.length > 1 ? widthOf(shards, name) : 0;
    const tensors = mergeShards(shards, width, name);
    checkComplete(tensors, config, shards.length, folder);
    const byteLength = sources.reduce((sum, source) => sum + source.byteLength, 0);
    return { kind: "meta", name, metadata: new Map(), config, tensors, paths, byteLength, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function findShards(path: string, files: FileSystem): Promise<{ folder: string; paths: string[] }> {
  const isFolder = (await files.list(path)) !== undefined;
  const folder = isFolder ? path : files.folderOf(path);
  // A file with another name stands alone.
  if (!isFolder && !SHARD_NAME.test(files.baseName(path))) return { folder, paths: [path] };
  const names = ((await files.list(folder)) ?? (await probe(folder, files))).filter((name) =>
    SHARD_NAME.test(name),
  );
  const numbered = names.map((name) => ({ name, index: Number(SHARD_NAME.exec(name)?.[1]) }));
  numbered.sort((a, b) => a.index - b.index);
  if (numbered.length === 0)
    throw new CriaError("not-found", `${folder}: expected consolidated.00.pth, but it has none`);
  for (const [expected, { name, index }] of numbered.entries()) {
    if (index < expected) throw new CriaError("bad-file", `${folder}: ${name} is there under two names`);
    if (index > expected)
      throw new CriaError(
        "not-found",
        `${folder}: consolidated.${String(expected).padStart(2, "0")}.pth is missing, but ${name} is there`,
      );
  }
  return { folder, paths: numbered.map(({ name }) => files.join(folder, name)) };
}

/** A server does not list its folders: there the shards are asked for one after the other, as long as they come. */
async function probe(folder: string, files: FileSystem): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < MOST_SHARDS; index++) {
    const name = `consolidated.${String(index).padStart(2, "0")}.pth`;
    if (!(await files.exists(files.join(folder, name)))) break;
    names.push(name);
  }
  return names;
}

async function readParams(path: string, files: FileSystem): Promise<Record<string, unknown>> {
  const source = await files.open(path);
  try {
    if (source.byteLength > LARGEST_PARAMS_BYTES)
      throw new CriaError(
        "bad-file",
        `${path}: ${source.byteLength} bytes; expected at most ${LARGEST_PARAMS_BYTES}`,
      );
    return parseObject(await source.read(0, source.byteLength), path);
  } finally {
    await source.close();
  }
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CriaError("bad-file", `${path}: not valid JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new CriaError("bad-file", `${path}: expected a JSON object`);
  return value as Record<string, unknown>;
}

/** The model's width, from the final norm: every shard has all of it. */
function widthOf(shards: readonly ReadonlyMap<string, StoredTensor>[], name: string): number {
  const norm = shards[0]?.get("norm.weight");
  if (!norm) throw new CriaError("not-found", `${name}: the tensor norm.weight is missing`);
  return norm.columns;
}

/** Shards that are missing at the end leave no hole in the names, but the rows of wq do not make a whole then. */
function checkComplete(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: Readonly<Record<string, unknown>>,
  shardCount: number,
  folder: string,
): void {
  const query = tensors.get("layers.0.attention.wq.weight");
  if (!query) return;
  const { n_heads: headCount, head_dim: headLength, dim } = config;
  const expected =
    typeof headLength === "number" && typeof headCount === "number" ? headCount * headLength : dim;
  if (typeof expected === "number" && query.rows < expected)
    throw new CriaError(
      "not-found",
      `${folder}: ${shardCount} consolidated.NN.pth files hold ${query.rows} of the ${expected} rows of wq; the others are missing`,
    );
}
