/**
 * Opens safetensors models: one file, or shards named by model.safetensors.index.json, with config.json beside them.
 *
 * Flow: FileSystem → headers → TensorFile (rows on demand).
 */
import { CriaError } from "../../shared/errors.ts";
import { rowBytes, type TensorFormat } from "../../tensor/format.ts";
import type { ByteSource, FileSystem } from "../byte-source.ts";
import { checkRows } from "../check-rows.ts";
import type { StoredTensor, TensorFile, UnsupportedTensor } from "../stored-tensor.ts";
import {
  headerLength,
  LONGEST_HEADER,
  parseHeader,
  type SafetensorsHeader,
  type SafetensorsInfo,
  shownJson,
} from "./header.ts";
import { parseOrderedJson } from "./ordered-json.ts";

/** Index files are flat; what their `metadata` holds is free. */
const DEEPEST_INDEX = 16;

/** Whether a file of `fileLength` bytes that starts so can be safetensors: a plausible length, then `{`. */
export function isSafetensors(firstBytes: Uint8Array, fileLength: number): boolean {
  if (firstBytes.length < 9) return false;
  const length = new DataView(firstBytes.buffer, firstBytes.byteOffset).getBigUint64(0, true);
  return length <= BigInt(Math.min(LONGEST_HEADER, fileLength - 8)) && firstBytes[8] === 0x7b;
}

/** Reads the header of one file. @throws {CriaError} "bad-file" */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsHeader> {
  const first = await source.read(0, Math.min(8, source.byteLength));
  const length = headerLength(source.name, first, source.byteLength);
  return parseHeader(source.name, await source.read(8, length), source.byteLength);
}

/**
 * Opens a .safetensors file, or all shards of a .safetensors.index.json. One shard means all, as with a split GGUF.
 *
 * @throws {CriaError} "bad-file", "not-found" for a missing shard or config.json.
 */
export async function openSafetensors(path: string, files: FileSystem): Promise<TensorFile> {
  const folder = files.folderOf(path);
  const shards = await shardsOf(path, files);
  const sources: ByteSource[] = [];
  const metadata = new Map<string, string>();
  const tensors = new Map<string, StoredTensor>();
  const unsupported: UnsupportedTensor[] = [];
  try {
    for (const [shard, expected] of shards) {
      const source = await files.open(shard);
      sources.push(source);
      const header = await readSafetensors(source);
      for (const [key, value] of header.metadata) metadata.set(key, value);
      const names = new Set(header.tensors.map(({ name }) => name));
      for (const name of expected ?? [])
        if (!names.has(name))
          throw new CriaError("not-found", `${shard}: the index says it holds "${name}"; it does not`);
      for (const info of header.tensors) {
        if (tensors.has(info.name))
          throw new CriaError("bad-file", `${shard}: "${info.name}" is in an earlier shard too`);
        const { name, format, rows, columns, byteLength } = info;
        if (format && byteLength > 0) tensors.set(name, storedTensor(source, info, format));
        else unsupported.push({ name, format: info.dtype, rows, columns, byteLength });
      }
    }
    return {
      kind: "safetensors",
      name: path,
      metadata,
      config: await readConfigJson(files.join(folder, "config.json"), files),
      tensors,
      unsupported,
      paths: sources.map(({ name }) => name),
      byteLength: sources.reduce((sum, { byteLength }) => sum + byteLength, 0),
      async close() {
        for (const source of sources) await source.close();
      },
    };
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

function storedTensor(source: ByteSource, info: SafetensorsInfo, format: TensorFormat): StoredTensor {
  const { name, shape, rows, columns, byteOffset } = info;
  const bytesPerRow = rowBytes(format, columns);
  return {
    name,
    format,
    rows,
    columns,
    shape,
    async readRows(rowFirst, rowCount, into) {
      checkRows(info, rowFirst, rowCount);
      return source.read(byteOffset + rowFirst * bytesPerRow, rowCount * bytesPerRow, into);
    },
  };
}

type Shards = ReadonlyMap<string, readonly string[] | undefined>;

/** The files to open, with the tensors that an index puts in each. */
async function shardsOf(path: string, files: FileSystem): Promise<Shards> {
  const name = files.baseName(path);
  if (name.endsWith(".index.json")) return readIndex(path, files);
  const [, stem, count] = /^(.*)-\d{5}-of-(\d{5})\.safetensors$/.exec(name) ?? [];
  if (stem === undefined || Number(count) < 2) return new Map([[path, undefined]]);
  const index = files.join(files.folderOf(path), `${stem}.safetensors.index.json`);
  if (await files.exists(index)) return readIndex(index, files);
  throw new CriaError(
    "not-found",
    `${path}: one of ${Number(count)} shards, but ${index}, which names them, is missing`,
  );
}

/** Shard paths with the tensors that the index puts in each. */
async function readIndex(path: string, files: FileSystem): Promise<Map<string, string[]>> {
  const index = await readJson(path, files, (text) => parseOrderedJson(text, DEEPEST_INDEX));
  const map = index instanceof Map ? index.get("weight_map") : undefined;
  if (!(map instanceof Map)) throw new CriaError("bad-file", `${path}: weight_map is missing`);
  const shards = new Map<string, string[]>();
  for (const [name, shard] of map) {
    // A name with a path in it could lead out of the model's folder.
    if (typeof shard !== "string" || !/^[^/\\]+\.safetensors$/.test(shard))
      throw new CriaError(
        "bad-file",
        `${path}: weight_map["${name}"] is ${shownJson(shard)}; expected a file name`,
      );
    const file = files.join(files.folderOf(path), shard);
    const names = shards.get(file);
    if (names) names.push(name);
    else shards.set(file, [name]);
  }
  return shards;
}

async function readConfigJson(path: string, files: FileSystem): Promise<Record<string, unknown>> {
  if (!(await files.exists(path)))
    throw new CriaError("not-found", `${path} is missing: it says what shape the tensors beside it make`);
  const value = await readJson<unknown>(path, files, JSON.parse);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new CriaError("bad-file", `${path}: expected a JSON object`);
  return value as Record<string, unknown>;
}

async function readJson<Value>(
  path: string,
  files: FileSystem,
  parse: (text: string) => Value,
): Promise<Value> {
  const source = await files.open(path);
  try {
    if (source.byteLength > LONGEST_HEADER)
      throw new CriaError(
        "bad-file",
        `${path}: ${source.byteLength} bytes; expected at most ${LONGEST_HEADER}`,
      );
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await source.read(0, source.byteLength));
    return parse(text);
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    const what = cause instanceof SyntaxError ? cause.message : "invalid UTF-8";
    throw new CriaError("bad-file", `${path}: expected JSON in UTF-8: ${what}`, { cause });
  } finally {
    await source.close();
  }
}
