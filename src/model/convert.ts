/**
 * Writes a model in another file format: GGUF (a path that ends in .gguf), or safetensors (any other path: a folder
 * with model.safetensors, config.json and the tokenizer).
 *
 * Rows of q and k change their order on the way between GGUF's and Hugging Face's layouts (model/weights.ts). From GGUF
 * to GGUF without a change of type every byte of metadata and data is kept.
 *
 * Flow: openCheckpoint (rows) → number format → writeGguf or writeSafetensors.
 */
import { type FileSystem, writeWhole } from "../files/byte-source.ts";
import { writeGguf } from "../files/gguf/write.ts";
import { writeSafetensors } from "../files/safetensors/write.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { type QuantizedFormat, quantizeRow } from "../quantize/quantize.ts";
import { CriaError } from "../shared/errors.ts";
import { isPacked, rowBytes } from "../tensor/format.ts";
import { floatsToBfloats, floatsToHalves } from "../tensor/half.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import { tokenizerConfigJson, vocabularyToJson } from "../tokenizer/to-json.ts";
import { vocabularyToSentencePiece } from "../tokenizer/to-sentence-piece.ts";
import { mergedWeights, openAdapter } from "./adapter.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { checkRowsFor } from "./companions.ts";
import { describeGguf, describeHuggingFace } from "./describe.ts";
import { generationConfigJson } from "./recommended-sampling.ts";
import { ropeFactors } from "./rope-frequencies.ts";
import { dialectName } from "./tensor-names.ts";
import { type ModelWeights, reorderRows } from "./weights.ts";

/** What `type` can be; the quantized ones only in GGUF. */
export const convertTypes = ["keep", "f32", "f16", "bf16", "q8_0", "q4_0"] as const;
export type ConvertType = (typeof convertTypes)[number];

export interface ConvertOptions {
  /** Number format of the matrices; "keep" leaves each as it is (packed ones become F16 in safetensors). Default keep. */
  readonly type?: ConvertType;
  /** A tokenizer file to use instead of the model's own. */
  readonly tokenizer?: string;
  /** LoRA adapters (GGUF files or PEFT folders) to add to the weights; with "keep" what they change becomes F16. */
  readonly adapters?: readonly string[];
  /** Refuse a folder that holds parts of another model. Default false: after hours of training it is too late to ask. */
  readonly alone?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
}

const FORMATS = { f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0", q4_0: "Q4_0" } as const;
type OutputFormat = (typeof FORMATS)[keyof typeof FORMATS];

/** @throws {CriaError} what opening and writing throw; nothing is left at `output` then. */
export async function convertModel(
  input: string,
  output: string,
  files: FileSystem,
  options: ConvertOptions = {},
): Promise<void> {
  const checkpoint = await openCheckpoint(input, files, options.tokenizer);
  try {
    const weights = await merged(checkpoint, files, options);
    await writeModel({ ...checkpoint, weights }, output, files, { ...options, alone: true });
  } finally {
    await checkpoint.file.close();
  }
}

async function merged(
  { config, weights }: Checkpoint,
  files: FileSystem,
  { adapters = [], type }: ConvertOptions,
): Promise<ModelWeights> {
  let result = weights;
  for (const path of adapters) result = mergedWeights(result, await openAdapter(path, config, files));
  if (type !== undefined && type !== "keep") return result;
  const changed = Array.from(
    result,
    ([name, tensor]) => [name, tensor === weights.get(name) ? tensor : inFormat(tensor, "F16")] as const,
  );
  return new Map(changed);
}

/**
 * Writes an open checkpoint: as GGUF to a path that ends so, else as a folder of safetensors.
 *
 * @throws {CriaError} what `convertModel` throws
 */
export async function writeModel(
  checkpoint: Checkpoint,
  output: string,
  files: FileSystem,
  options: ConvertOptions = {},
): Promise<void> {
  // Before gigabytes are written that no program opens.
  if (checkpoint.vocabulary) checkRowsFor(checkpoint.vocabulary, checkpoint.config);
  if (/\.gguf$/i.test(output)) await toGguf(checkpoint, output, files, options);
  else await toSafetensors(checkpoint, output, files, options);
}

async function toGguf(
  checkpoint: Checkpoint,
  path: string,
  files: FileSystem,
  options: ConvertOptions,
): Promise<void> {
  const { file, config, weights, vocabulary } = checkpoint;
  const kept = options.type === undefined || options.type === "keep";
  const tensors = [...weights].map(([name, tensor]) => renamed(typed(tensor, options.type, false), name));
  const factors = config.ropeScaling.type === "llama3" ? ropeFactors(config) : undefined;
  if (factors) tensors.push(vectorOf("rope_freqs.weight", factors));
  if (!vocabulary)
    throw new CriaError(
      "not-found",
      `${file.name}: no tokenizer in it or beside it; a GGUF needs one: name it`,
    );
  // A GGUF may also have no tokenizer of its own, but one beside it.
  const replaced = options.tokenizer !== undefined || !file.metadata.has("tokenizer.ggml.model");
  const entries = describeGguf(checkpoint, tensors, kept, replaced);
  await writeWhole(files, path, (sink) => writeGguf(sink, { entries, tensors, ...limits(options) }));
}

async function toSafetensors(
  { file, config, weights, vocabulary, chatTemplate, sampling }: Checkpoint,
  path: string,
  files: FileSystem,
  options: ConvertOptions,
): Promise<void> {
  if (options.type === "q8_0" || options.type === "q4_0")
    throw new CriaError("bad-input", `${path}: safetensors cannot hold ${options.type}; write a .gguf file`);
  if (config.ropeLength !== config.headLength)
    throw new CriaError(
      "unsupported",
      `${file.name}: rope turns ${config.ropeLength} of ${config.headLength} channels, which config.json of a Llama cannot say`,
    );
  const folder = path.endsWith(".safetensors") ? files.folderOf(path) : path;
  const target = path.endsWith(".safetensors") ? path : files.join(path, "model.safetensors");
  const tensors: StoredTensor[] = [];
  const vectors = new Set<string>();
  for (const [canonical, tensor] of weights) {
    const name = dialectName("safetensors", canonical);
    // rope_freqs: its meaning is in config.json.
    if (name === undefined) continue;
    const permuted = /attn_[qk]\.weight$/.test(canonical);
    const ordered = permuted ? reorderRows(tensor, config.headLength, "huggingface") : tensor;
    tensors.push(renamed(typed(ordered, options.type, true), name));
    if (canonical.endsWith("norm.weight")) vectors.add(name);
  }
  if (weights.has("rope_freqs.weight") && config.ropeScaling.type === "none")
    throw new CriaError(
      "unsupported",
      `${file.name}: its rope factors are stored as a table, which config.json cannot hold`,
    );
  const writeText = (name: string, contents: string | Uint8Array) =>
    writeWhole(files, files.join(folder, name), (sink) =>
      sink.write(typeof contents === "string" ? new TextEncoder().encode(contents) : contents),
    );
  const format = tensors.find(({ rows }) => rows > 1)?.format ?? "F32";
  const tied = !weights.has("output.weight");
  // Made before the weights are written: what cannot be said should not cost gigabytes first.
  const texts = new Map<string, string | Uint8Array>([
    ["config.json", describeHuggingFace(config, tied, format, vocabulary?.special)],
  ]);
  if (vocabulary?.model === "llama") texts.set("tokenizer.model", vocabularyToSentencePiece(vocabulary));
  else if (vocabulary) texts.set("tokenizer.json", vocabularyToJson(vocabulary));
  if (vocabulary) texts.set("tokenizer_config.json", tokenizerConfigJson(vocabulary, chatTemplate));
  const recommended = generationConfigJson(sampling);
  if (recommended !== undefined) texts.set("generation_config.json", recommended);
  if (options.alone) await checkFolder(folder, new Set([files.baseName(target), ...texts.keys()]), files);
  const metadata = new Map([["format", "pt"]]);
  await writeWhole(files, target, (sink) =>
    writeSafetensors(sink, { metadata, tensors, vectors, ...limits(options) }),
  );
  for (const [name, text] of texts) await writeText(name, text);
}

/** What readers would take for a part of the model beside it. */
const PARTS =
  /^(.*\.safetensors(\.index\.json)?|tokenizer\.(json|model|bin)|tokenizer_config\.json|tok\d+\.bin|chat_template\.jinja)$/;

/** Refuses a folder where parts of another model would stay and be mixed up with this one. */
async function checkFolder(folder: string, written: ReadonlySet<string>, files: FileSystem): Promise<void> {
  const other = ((await files.list(folder)) ?? []).find((name) => PARTS.test(name) && !written.has(name));
  if (other !== undefined)
    throw new CriaError(
      "bad-input",
      `${files.join(folder, other)}: a part of another model, which would be read with this one; name another folder`,
    );
}

function limits({ signal, onProgress }: ConvertOptions): Pick<ConvertOptions, "signal" | "onProgress"> {
  return { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
}

/** The tensor in the format asked for. Norms are a row of gains and are always F32, as llama.cpp expects. */
function typed(tensor: StoredTensor, type: ConvertOptions["type"], plainOnly: boolean): StoredTensor {
  if (tensor.rows === 1) return inFormat(tensor, "F32");
  if (type !== undefined && type !== "keep") {
    const whole = tensor.columns % 32 === 0;
    // As llama.cpp: rows that are no whole number of blocks stay halves.
    return inFormat(tensor, isPacked(FORMATS[type]) && !whole ? "F16" : FORMATS[type]);
  }
  return plainOnly && isPacked(tensor.format) ? inFormat(tensor, "F16") : tensor;
}

function inFormat(tensor: StoredTensor, format: OutputFormat): StoredTensor {
  if (tensor.format === format) return tensor;
  const { columns } = tensor;
  return {
    name: tensor.name,
    format,
    rows: tensor.rows,
    columns,
    async readRows(rowFirst, rowCount) {
      const packed = await tensor.readRows(rowFirst, rowCount);
      const values = new Float32Array(rowCount * columns);
      for (let row = 0; row < rowCount; row++) {
        const from = row * rowBytes(tensor.format, columns);
        dequantizeRow(
          tensor.format,
          packed,
          from,
          columns,
          values.subarray(row * columns, (row + 1) * columns),
        );
      }
      return numbersAs(format, values, columns);
    },
  };
}

function numbersAs(format: OutputFormat, values: Float32Array, columns: number): Uint8Array {
  if (format === "F32") return new Uint8Array(values.buffer);
  if (format === "Q8_0" || format === "Q4_0") return quantized(format, values, columns);
  const bits = new Uint16Array(values.length);
  if (format === "F16") floatsToHalves(values, bits);
  else floatsToBfloats(values, bits);
  return new Uint8Array(bits.buffer);
}

function quantized(format: QuantizedFormat, values: Float32Array, columns: number): Uint8Array {
  const stride = rowBytes(format, columns);
  const bytes = new Uint8Array((values.length / columns) * stride);
  for (let first = 0, at = 0; first < values.length; first += columns, at += stride)
    bytes.set(quantizeRow(format, values.subarray(first, first + columns)), at);
  return bytes;
}

function renamed(tensor: StoredTensor, name: string): StoredTensor {
  const { format, rows, columns } = tensor;
  return { name, format, rows, columns, readRows: (first, count) => tensor.readRows(first, count) };
}

function vectorOf(name: string, values: Float32Array): StoredTensor {
  const readRows = async () => new Uint8Array(values.slice().buffer);
  return { name, format: "F32", rows: 1, columns: values.length, readRows };
}
