/**
 * Low-rank adapters (LoRA) in files: a folder as Python's PEFT has it, or a GGUF as llama.cpp has it; and what an adapter
 * does to a weight, merged into it.
 *
 *   W' = W + (alpha / rank) · B·A      A [rank, inputs], B [outputs, rank]
 *
 * In PEFT's files the outputs of q and k lie in Hugging Face's order, so the rows of their B are reordered as those of
 * the weights are (weights.ts).
 *
 * Flow: train/ (parameters) → writeAdapter; path → openAdapter → mergedWeights, generate/ (several at once).
 * Source: Hu et al. 2021, arXiv 2106.09685; PEFT's checkpoint format; llama.cpp's convert_lora_to_gguf.
 */
import { type FileSystem, writeWhole } from "../files/byte-source.ts";
import { isGguf, openGguf } from "../files/gguf/read.ts";
import { type GgufEntry, writeGguf } from "../files/gguf/write.ts";
import { readSafetensors } from "../files/safetensors/read.ts";
import { writeSafetensors } from "../files/safetensors/write.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { rowBytes } from "../tensor/format.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import type { ModelConfig } from "./config.ts";
import { canonicalName, dialectName } from "./tensor-names.ts";
import { expectedShapes, type ModelWeights, reorderRows } from "./weights.ts";

/** The two matrices beside one weight, as F32 values. */
export interface AdapterMatrices {
  /** [rank, inputs] */
  readonly a: Float32Array;
  /** [outputs, rank] */
  readonly b: Float32Array;
  readonly rank: number;
}

export interface AdapterContents {
  /** What it is called where several are loaded. */
  readonly name: string;
  readonly alpha: number;
  /** By the weight's GGUF name, such as `blk.0.attn_q.weight`. */
  readonly matrices: ReadonlyMap<string, AdapterMatrices>;
}

const adaptedName = /^blk\.\d+\.(?:attn_(?:q|k|v|output)|ffn_(?:gate|up|down))\.weight$/;

/**
 * Reads an adapter: a .gguf file, or a folder with adapter_config.json and adapter_model.safetensors.
 *
 * @throws {CriaError} "bad-file" when it does not fit the model, "unsupported" for what is more than plain LoRA,
 * "not-found"
 */
export async function openAdapter(
  path: string,
  config: ModelConfig,
  files: FileSystem,
): Promise<AdapterContents> {
  const names = await files.list(path);
  const contents = names ? await readPeft(path, config, files) : await readGgufAdapter(path, files);
  checkShapes(path, contents, config);
  return contents;
}

async function readGgufAdapter(path: string, files: FileSystem): Promise<AdapterContents> {
  const source = await files.open(path);
  if (!isGguf(await source.read(0, Math.min(8, source.byteLength))))
    throw new CriaError("bad-file", `${path}: expected a GGUF adapter, or a folder with adapter_config.json`);
  const file = await openGguf(source, files);
  try {
    if (file.metadata.get("general.type") !== "adapter" || file.metadata.get("adapter.type") !== "lora")
      throw new CriaError(
        "bad-file",
        `${path}: expected a GGUF whose general.type is adapter and adapter.type lora`,
      );
    const alpha = file.metadata.get("adapter.lora.alpha");
    if (typeof alpha !== "number") throw new CriaError("bad-file", `${path}: adapter.lora.alpha is missing`);
    const pairs = new Map<string, Pair>();
    for (const tensor of file.tensors.values()) {
      const match = /^(.*)\.lora_([ab])$/.exec(tensor.name);
      if (!match)
        throw new CriaError("unsupported", `${path}: "${tensor.name}" is no part of a LoRA adapter`);
      addTo(pairs, match[1], match[2] as "a" | "b", tensor);
    }
    return { name: nameOf(path, files), alpha, matrices: await matricesOf(path, pairs) };
  } finally {
    await file.close();
  }
}

/** What PEFT's configuration may say beyond plain LoRA, which would change the result if it were ignored. */
const unsupportedSettings = ["use_dora", "use_rslora", "fan_in_fan_out", "lora_bias"] as const;

interface PeftConfig {
  readonly peft_type?: unknown;
  readonly r?: unknown;
  readonly lora_alpha?: unknown;
  readonly bias?: unknown;
  readonly [key: string]: unknown;
}

async function readPeft(folder: string, config: ModelConfig, files: FileSystem): Promise<AdapterContents> {
  const settings = await readPeftConfig(files.join(folder, "adapter_config.json"), files);
  const path = files.join(folder, "adapter_model.safetensors");
  const source = await files.open(path);
  try {
    const header = await readSafetensors(source);
    const pairs = new Map<string, Pair>();
    for (const info of header.tensors) {
      const match = /^base_model\.model\.(.*)\.lora_([AB])\.weight$/.exec(info.name);
      const weight = match ? canonicalName("safetensors", `${match[1]}.weight`) : undefined;
      const { name, format, rows, columns, byteOffset, shape } = info;
      if (!match || weight === undefined || !format)
        throw new CriaError(
          "unsupported",
          `${path}: "${name}" is no part of a plain LoRA adapter of a Llama`,
        );
      const stride = rowBytes(format, columns);
      const readRows = (first: number, count: number): Promise<Uint8Array> =>
        source.read(byteOffset + first * stride, count * stride);
      const tensor: StoredTensor = { name, format, rows, columns, shape, readRows };
      const permuted = match[2] === "B" && /attn_[qk]\.weight$/.test(weight);
      addTo(
        pairs,
        weight,
        match[2] === "A" ? "a" : "b",
        permuted ? reorderRows(tensor, config.headLength, "meta") : tensor,
      );
    }
    return { name: nameOf(folder, files), alpha: settings.alpha, matrices: await matricesOf(path, pairs) };
  } finally {
    await source.close();
  }
}

async function readPeftConfig(path: string, files: FileSystem): Promise<{ readonly alpha: number }> {
  const source = await files.open(path);
  let settings: PeftConfig;
  try {
    settings = JSON.parse(new TextDecoder().decode(await source.read(0, source.byteLength))) as PeftConfig;
  } catch (cause) {
    throw new CriaError("bad-file", `${path}: not valid JSON`, { cause });
  } finally {
    await source.close();
  }
  if (settings.peft_type !== "LORA")
    throw new CriaError("unsupported", `${path}: peft_type is ${String(settings.peft_type)}; expected LORA`);
  for (const key of unsupportedSettings)
    if (settings[key] === true)
      throw new CriaError("unsupported", `${path}: ${key} is set; plain LoRA is read`);
  for (const key of ["rank_pattern", "alpha_pattern"])
    if (Object.keys((settings[key] as object | null | undefined) ?? {}).length > 0)
      throw new CriaError("unsupported", `${path}: ${key} is set; one rank and alpha for all is read`);
  // PEFT's own default.
  const alpha = settings.lora_alpha ?? 8;
  if (typeof alpha !== "number") throw new CriaError("bad-file", `${path}: lora_alpha: expected a number`);
  return { alpha };
}

interface Pair {
  a?: StoredTensor;
  b?: StoredTensor;
}

function addTo(pairs: Map<string, Pair>, weight: string, part: "a" | "b", tensor: StoredTensor): void {
  const pair = pairs.get(weight) ?? {};
  pair[part] = tensor;
  pairs.set(weight, pair);
}

async function matricesOf(
  path: string,
  pairs: ReadonlyMap<string, Pair>,
): Promise<Map<string, AdapterMatrices>> {
  const matrices = new Map<string, AdapterMatrices>();
  for (const [weight, { a, b }] of pairs) {
    if (!a || !b) throw new CriaError("bad-file", `${path}: ${weight} has only one of its two matrices`);
    if (a.rows !== b.columns)
      throw new CriaError("bad-file", `${path}: ${weight}: ranks ${a.rows} and ${b.columns} differ`);
    matrices.set(weight, { a: await readValues(a), b: await readValues(b), rank: a.rows });
  }
  return matrices;
}

async function readValues({ format, rows, columns, readRows }: StoredTensor): Promise<Float32Array> {
  const bytes = await readRows(0, rows);
  const values = new Float32Array(rows * columns);
  const stride = rowBytes(format, columns);
  for (let r = 0; r < rows; r++)
    dequantizeRow(format, bytes, r * stride, columns, values.subarray(r * columns, (r + 1) * columns));
  return values;
}

function checkShapes(path: string, { matrices }: AdapterContents, config: ModelConfig): void {
  const shapes = expectedShapes(config);
  if (matrices.size === 0) throw new CriaError("bad-file", `${path}: the adapter has no matrices`);
  for (const [weight, { a, b, rank }] of matrices) {
    const shape = shapes.get(weight);
    if (!shape || !adaptedName.test(weight))
      throw new CriaError(
        "unsupported",
        `${path}: an adapter of ${weight}; expected one of a layer's matrices`,
      );
    const [outputs, inputs] = shape;
    if (a.length !== rank * inputs || b.length !== outputs * rank)
      throw new CriaError(
        "bad-file",
        `${path}: ${weight}: expected A [${rank}, ${inputs}] and B [${outputs}, ${rank}], found ${a.length} and ${b.length} values: an adapter of another model?`,
      );
  }
}

function nameOf(path: string, files: FileSystem): string {
  return files.baseName(path).replace(/\.gguf$/, "");
}

/** Where a written adapter comes from. */
export interface AdapterBase {
  readonly config: ModelConfig;
  /** Path or name of the base, for PEFT's configuration. */
  readonly name: string;
}

/** Writes a .gguf file, or a folder for PEFT for any other path. */
export async function writeAdapter(
  adapter: AdapterContents,
  path: string,
  base: AdapterBase,
  files: FileSystem,
): Promise<void> {
  if (path.endsWith(".gguf")) await writeGgufAdapter(adapter, path, files);
  else await writePeft(adapter, path, base, files);
}

async function writeGgufAdapter(adapter: AdapterContents, path: string, files: FileSystem): Promise<void> {
  const entries: GgufEntry[] = [
    { key: "general.architecture", type: "string", value: "llama" },
    { key: "general.type", type: "string", value: "adapter" },
    { key: "general.name", type: "string", value: adapter.name },
    { key: "general.file_type", type: "u32", value: 0 },
    { key: "adapter.type", type: "string", value: "lora" },
    { key: "adapter.lora.alpha", type: "f32", value: adapter.alpha },
  ];
  const tensors = [...adapter.matrices].flatMap(([weight, { a, b, rank }]) => [
    matrix(`${weight}.lora_a`, a, rank),
    matrix(`${weight}.lora_b`, b, b.length / rank),
  ]);
  await writeWhole(files, path, (sink) => writeGguf(sink, { entries, tensors }));
}

async function writePeft(
  adapter: AdapterContents,
  folder: string,
  { config, name }: AdapterBase,
  files: FileSystem,
): Promise<void> {
  const modules = new Set<string>();
  const ranks = new Set<number>();
  const tensors: StoredTensor[] = [];
  for (const [weight, { a, b, rank }] of adapter.matrices) {
    const own = dialectName("safetensors", weight)?.replace(/\.weight$/, "");
    if (own === undefined) throw new CriaError("unsupported", `PEFT has no name for ${weight}`);
    modules.add(own.slice(own.lastIndexOf(".") + 1));
    ranks.add(rank);
    const rows = matrix(`base_model.model.${own}.lora_B.weight`, b, b.length / rank);
    const permuted = /attn_[qk]\.weight$/.test(weight);
    tensors.push(
      matrix(`base_model.model.${own}.lora_A.weight`, a, rank),
      permuted ? reorderRows(rows, config.headLength, "huggingface") : rows,
    );
  }
  const [rank] = ranks;
  if (ranks.size !== 1)
    throw new CriaError("unsupported", "PEFT's folder is written with one rank for all matrices");
  const settings = {
    ...{ peft_type: "LORA", task_type: "CAUSAL_LM", base_model_name_or_path: name, revision: null },
    ...{
      r: rank,
      lora_alpha: adapter.alpha,
      lora_dropout: 0,
      bias: "none",
      target_modules: [...modules].sort(),
    },
    ...{ use_rslora: false, use_dora: false, rank_pattern: {}, alpha_pattern: {}, fan_in_fan_out: false },
    ...{ inference_mode: true, init_lora_weights: true, modules_to_save: null },
  };
  await writeWhole(files, files.join(folder, "adapter_model.safetensors"), (sink) =>
    writeSafetensors(sink, { metadata: new Map([["format", "pt"]]), tensors, vectors: new Set() }),
  );
  await writeWhole(files, files.join(folder, "adapter_config.json"), (sink) =>
    sink.write(new TextEncoder().encode(`${JSON.stringify(settings, undefined, 2)}\n`)),
  );
}

function matrix(name: string, values: Float32Array, rows: number): StoredTensor {
  const columns = values.length / rows;
  return {
    name,
    format: "F32",
    rows,
    columns,
    // One row would count as a vector.
    shape: [rows, columns],
    readRows: async (first, count) => {
      const part = values.slice(first * columns, (first + count) * columns);
      return new Uint8Array(part.buffer);
    },
  };
}

/** The weights with an adapter's product added, as F32; those without one stay as they are. */
export function mergedWeights(weights: ModelWeights, adapter: AdapterContents): ModelWeights {
  const merged = new Map(weights);
  for (const [name, matrices] of adapter.matrices) {
    const weight = weights.get(name);
    if (!weight)
      throw new CriaError("not-found", `the adapter ${adapter.name} changes ${name}, which the model lacks`);
    merged.set(name, mergedTensor(weight, matrices, adapter.alpha / matrices.rank));
  }
  return merged;
}

function mergedTensor(weight: StoredTensor, { a, b, rank }: AdapterMatrices, factor: number): StoredTensor {
  const { name, rows, columns, format } = weight;
  const stride = rowBytes(format, columns);
  return {
    name,
    format: "F32",
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      const packed = await weight.readRows(rowFirst, rowCount);
      const values = new Float32Array(rowCount * columns);
      for (let r = 0; r < rowCount; r++) {
        const row = values.subarray(r * columns, (r + 1) * columns);
        dequantizeRow(format, packed, r * stride, columns, row);
        for (let k = 0; k < rank; k++) {
          const share = factor * b[(rowFirst + r) * rank + k];
          for (let c = 0; c < columns; c++) row[c] += share * a[k * columns + c];
        }
      }
      return new Uint8Array(values.buffer);
    },
  };
}
