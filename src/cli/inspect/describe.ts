/**
 * Gathers what a model file holds, without its weights. What cannot be understood, as in files of other architectures,
 * becomes a line in `problems` and the rest is still told.
 *
 * Flow: path or URL → openTensorFile → describeModel → report.ts, or JSON.
 */
import { createReferenceDevice } from "../../devices/reference/device.ts";
import { createWasmDevice } from "../../devices/wasm/device.ts";
import type { FileSystem } from "../../files/byte-source.ts";
import { type TensorFile, tensorBytes } from "../../files/stored-tensor.ts";
import { DEFAULT_CONTEXT } from "../../generate/load-model.ts";
import { type MemoryNeed, reckonMemory } from "../../generate/memory.ts";
import type { CacheFormatOption } from "../../model/cache-format.ts";
import { openTensorFile } from "../../model/checkpoint.ts";
import { checkRowsFor, findChatTemplate, findVocabulary } from "../../model/companions.ts";
import { type ModelConfig, readConfig } from "../../model/config.ts";
import { findRecommendedSampling, type RecommendedSampling } from "../../model/recommended-sampling.ts";
import { type ModelWeights, modelWeights } from "../../model/weights.ts";
import { CriaError } from "../../shared/errors.ts";
import type { Device } from "../../tensor/device.ts";
import { vocabularyFromGguf } from "../../tokenizer/from-gguf.ts";
import type { Vocabulary } from "../../tokenizer/vocabulary.ts";

export interface TensorDescription {
  readonly name: string;
  readonly format: string;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: number;
}

export interface FormatDescription {
  readonly format: string;
  readonly tensors: number;
  readonly bytes: number;
}

export interface TokenizerDescription {
  readonly kind: string;
  readonly tokens: number;
  readonly merges: number;
  readonly special: Vocabulary["special"];
  readonly addBos: boolean;
  readonly addEos: boolean;
}

export interface MemoryDescription extends MemoryNeed {
  readonly contextLength: number;
}

export interface ModelDescription {
  readonly path: string;
  readonly kind: TensorFile["kind"];
  readonly files: readonly string[];
  readonly bytes: number;
  readonly architecture: string;
  readonly config: ModelConfig | undefined;
  readonly parameters: number;
  readonly tied: boolean;
  readonly formats: readonly FormatDescription[];
  readonly tensors: readonly TensorDescription[];
  readonly tokenizer: TokenizerDescription | undefined;
  readonly chatTemplate: string | undefined;
  /** What the model's maker recommends. */
  readonly sampling: RecommendedSampling;
  readonly memory: MemoryDescription | undefined;
  /** Every setting of the file, by key. */
  readonly metadata: ReadonlyMap<string, unknown>;
  /** Why Cria cannot run the model, if it cannot. */
  readonly problems: readonly string[];
}

export interface DescribeOptions {
  /** For the memory: 0 is the model's own. Default: the model's own, at most 4096. */
  readonly contextLength?: number;
  /** For the memory. Default F16. */
  readonly cacheFormat?: CacheFormatOption;
  readonly tokenizer?: string;
}

/** @throws {CriaError} when the file cannot be opened at all. */
export async function describeModel(
  path: string,
  files: FileSystem,
  options: DescribeOptions = {},
): Promise<ModelDescription> {
  const file = await openTensorFile(path, files);
  try {
    const problems: string[] = [];
    const attempt = async <Result>(work: () => Result | Promise<Result>): Promise<Result | undefined> => {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof CriaError)) throw error;
        problems.push(error.message);
        return undefined;
      }
    };
    const config = await attempt(() => readConfig(file));
    const weights = config && (await attempt(() => modelWeights(file, config)));
    const vocabulary = await attempt(() => vocabularyOf(file, config, files, options.tokenizer));
    if (config && vocabulary) await attempt(() => checkRowsFor(vocabulary, config));
    const chatTemplate = await attempt(() => findChatTemplate(file, files));
    const sampling = await attempt(() => findRecommendedSampling(file, files));
    const tensors = describeTensors(file);
    return {
      path,
      kind: file.kind,
      files: file.paths,
      bytes: file.byteLength,
      architecture: architectureOf(file),
      config,
      parameters: tensors.reduce((sum, tensor) => sum + tensor.rows * tensor.columns, 0),
      tied: weights !== undefined && !weights.has("output.weight"),
      formats: sumFormats(tensors),
      tensors,
      tokenizer: vocabulary && describeTokenizer(vocabulary),
      chatTemplate,
      sampling: sampling ?? {},
      memory: config && weights && (await attempt(() => describeMemory(config, weights, options))),
      metadata: new Map<string, unknown>([...file.metadata, ...Object.entries(file.config)]),
      problems,
    };
  } finally {
    await file.close();
  }
}

/** Of a model that cannot be read, the tokenizer may still be in the file. */
function vocabularyOf(
  file: TensorFile,
  config: ModelConfig | undefined,
  files: FileSystem,
  tokenizerPath: string | undefined,
): Promise<Vocabulary | undefined> | Vocabulary | undefined {
  if (config) return findVocabulary(file, config, files, tokenizerPath);
  return file.metadata.has("tokenizer.ggml.model") ? vocabularyFromGguf(file.metadata) : undefined;
}

function architectureOf({ kind, metadata, config }: TensorFile): string {
  const stated = kind === "gguf" ? metadata.get("general.architecture") : config.model_type;
  if (typeof stated === "string") return stated;
  return kind === "meta" || kind === "llama2c" ? "llama" : "not stated";
}

function describeTensors(file: TensorFile): TensorDescription[] {
  const known = Array.from(file.tensors.values(), (tensor) => {
    const { name, format, rows, columns } = tensor;
    return { name, format, rows, columns, bytes: tensorBytes(tensor) };
  });
  const others = file.unsupported ?? [];
  return [...known, ...others.map(({ byteLength, ...tensor }) => ({ ...tensor, bytes: byteLength }))];
}

/** Counts and bytes by format, the largest first. */
function sumFormats(tensors: readonly TensorDescription[]): FormatDescription[] {
  const sums = new Map<string, { format: string; tensors: number; bytes: number }>();
  for (const { format, bytes } of tensors) {
    const sum = sums.get(format) ?? { format, tensors: 0, bytes: 0 };
    sum.tensors++;
    sum.bytes += bytes;
    sums.set(format, sum);
  }
  return [...sums.values()].sort((a, b) => b.bytes - a.bytes);
}

function describeTokenizer(vocabulary: Vocabulary): TokenizerDescription {
  const { model, pieces, merges, special, addBos, addEos, preTokenizer } = vocabulary;
  return {
    kind: model === "llama" ? "SentencePiece BPE" : `byte-level BPE (${preTokenizer})`,
    tokens: pieces.length,
    merges: merges.length,
    special,
    addBos,
    addEos,
  };
}

async function describeMemory(
  config: ModelConfig,
  weights: ModelWeights,
  { contextLength: asked, cacheFormat }: DescribeOptions,
): Promise<MemoryDescription> {
  const contextLength =
    asked === undefined ? Math.min(config.contextLength, DEFAULT_CONTEXT) : asked || config.contextLength;
  const device = await usualDevice();
  try {
    return {
      contextLength,
      ...reckonMemory(device, config, weights, { contextLength, ...(cacheFormat ? { cacheFormat } : {}) }),
    };
  } finally {
    device.dispose();
  }
}

/** The device that would run the model, on which the size of its buffers depends. */
async function usualDevice(): Promise<Device> {
  try {
    return await createWasmDevice();
  } catch (error) {
    if (error instanceof CriaError && error.code === "unsupported") return createReferenceDevice();
    throw error;
  }
}
