/**
 * A model's shape in the words of the file it is written to: GGUF's metadata, or Hugging Face's config.json.
 *
 * Source: the GGUF specification; transformers' LlamaConfig and MistralConfig.
 */
import type { GgufFile } from "../files/gguf/read.ts";
import type { GgufType } from "../files/gguf/types.ts";
import type { GgufEntry } from "../files/gguf/write.ts";
import type { MetadataValue, StoredTensor, TensorFile } from "../files/stored-tensor.ts";
import { type TensorFormat, tensorFormats } from "../tensor/format.ts";
import { vocabularyToGguf } from "../tokenizer/to-gguf.ts";
import type { SpecialIds } from "../tokenizer/tokenizer.ts";
import { kindCodes, type Vocabulary } from "../tokenizer/vocabulary.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { recommendedEntries } from "./recommended-sampling.ts";

/** llama.cpp's number for a file whose matrices are mostly of a format (LlamaFileType). */
const FILE_TYPES: Readonly<Record<TensorFormat, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 12,
  Q4_K: 15,
  Q5_K: 17,
  Q6_K: 18,
  IQ4_NL: 25,
  BF16: 32,
  I32: 0,
};

/**
 * The metadata of a model written as GGUF. A GGUF's own metadata is kept, but for the keys of a split and, unless
 * `kept`, the file type; with `replacesTokenizer` its tokenizer is that of the checkpoint.
 */
export function describeGguf(
  checkpoint: Checkpoint,
  tensors: readonly StoredTensor[],
  kept: boolean,
  replacesTokenizer: boolean,
): GgufEntry[] {
  const { file, config, chatTemplate, sampling } = checkpoint;
  const fileType: GgufEntry = {
    key: "general.file_type",
    type: "u32",
    value: FILE_TYPES[mainFormat(tensors)],
  };
  if (isGgufFile(file)) {
    const own = Array.from(file.metadata, ([key, value]): GgufEntry => {
      return key === fileType.key && !kept ? fileType : { key, value, type: file.types.get(key) ?? "string" };
    });
    const whole = own.filter(({ key }) => !key.startsWith("split."));
    if (!replacesTokenizer) return whole;
    const rest = whole.filter(
      ({ key }) => !key.startsWith("tokenizer.") || key.startsWith("tokenizer.chat_template"),
    );
    return [...rest, ...tokenEntries(checkpoint)];
  }
  const template = chatTemplate === undefined ? [] : [textEntry("tokenizer.chat_template", chatTemplate)];
  return [
    textEntry("general.architecture", "llama"),
    textEntry("general.type", "model"),
    ...(config.name === "" ? [] : [textEntry("general.name", config.name)]),
    ...recommendedEntries(sampling),
    fileType,
    ...shapeEntries(config),
    ...tokenEntries(checkpoint),
    ...template,
  ];
}

function tokenEntries({ vocabulary, config }: Checkpoint): GgufEntry[] {
  if (!vocabulary) return [];
  const padded = paddedVocabulary(vocabulary, config.vocabularySize);
  return Array.from(vocabularyToGguf(padded), ([key, value]) => tokenEntry(key, value));
}

/** With a name for every row of the embedding, as llama.cpp's converter pads it: llama.cpp counts rows by names. */
function paddedVocabulary(vocabulary: Vocabulary, size: number): Vocabulary {
  const { length } = vocabulary.pieces;
  if (length >= size) return vocabulary;
  const scores = new Float32Array(size).fill(-1000);
  scores.set(vocabulary.scores);
  const kinds = new Uint8Array(size).fill(kindCodes.unused);
  kinds.set(vocabulary.kinds);
  const padding = Array.from({ length: size - length }, (_, index) => `[PAD${length + index}]`);
  return { ...vocabulary, pieces: [...vocabulary.pieces, ...padding], scores, kinds };
}

function isGgufFile(file: TensorFile): file is GgufFile {
  return file.kind === "gguf";
}

/** The format that most matrix values have. */
function mainFormat(tensors: readonly StoredTensor[]): TensorFormat {
  const sizes = tensorFormats.map((format) => {
    const matrices = tensors.filter((tensor) => tensor.format === format && tensor.rows > 1);
    return [format, matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0)] as const;
  });
  return sizes.reduce((best, size) => (size[1] > best[1] ? size : best))[0];
}

function shapeEntries(config: ModelConfig): GgufEntry[] {
  const u32 = (key: string, value: number): GgufEntry => ({ key: `llama.${key}`, type: "u32", value });
  const f32 = (key: string, value: number): GgufEntry => ({ key: `llama.${key}`, type: "f32", value });
  const { ropeScaling, slidingWindow } = config;
  return [
    u32("vocab_size", config.vocabularySize),
    u32("context_length", config.contextLength),
    u32("embedding_length", config.width),
    u32("block_count", config.layerCount),
    u32("feed_forward_length", config.feedForwardLength),
    u32("rope.dimension_count", config.ropeLength),
    f32("rope.freq_base", config.ropeBase),
    u32("attention.head_count", config.headCount),
    u32("attention.head_count_kv", config.kvHeadCount),
    u32("attention.key_length", config.headLength),
    u32("attention.value_length", config.headLength),
    f32("attention.layer_norm_rms_epsilon", config.normEpsilon),
    ...(slidingWindow > 0 ? [u32("attention.sliding_window", slidingWindow)] : []),
    ...(ropeScaling.type === "linear"
      ? [textEntry("llama.rope.scaling.type", "linear"), f32("rope.scaling.factor", ropeScaling.factor)]
      : []),
  ];
}

function textEntry(key: string, value: string): GgufEntry {
  return { key, type: "string", value };
}

/** A tokenizer entry with the type that llama.cpp writes. */
function tokenEntry(key: string, value: MetadataValue): GgufEntry {
  const type: GgufType =
    typeof value === "string"
      ? "string"
      : typeof value === "boolean"
        ? "bool"
        : typeof value === "number"
          ? "u32"
          : value instanceof Float32Array
            ? "array<f32>"
            : value instanceof Int32Array
              ? "array<i32>"
              : "array<string>";
  return { key, type, value };
}

const TORCH_TYPES: Partial<Record<TensorFormat, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** The text of config.json. */
export function describeHuggingFace(
  config: ModelConfig,
  tied: boolean,
  format: TensorFormat,
  special: SpecialIds | undefined,
): string {
  const mistral = config.slidingWindow > 0;
  const scaling = config.ropeScaling;
  return JSON.stringify(
    {
      architectures: [mistral ? "MistralForCausalLM" : "LlamaForCausalLM"],
      model_type: mistral ? "mistral" : "llama",
      vocab_size: config.vocabularySize,
      hidden_size: config.width,
      intermediate_size: config.feedForwardLength,
      num_hidden_layers: config.layerCount,
      num_attention_heads: config.headCount,
      num_key_value_heads: config.kvHeadCount,
      head_dim: config.headLength,
      max_position_embeddings: config.contextLength,
      hidden_act: "silu",
      rms_norm_eps: config.normEpsilon,
      rope_theta: config.ropeBase,
      rope_scaling:
        scaling.type === "none"
          ? null
          : scaling.type === "linear"
            ? { rope_type: "linear", factor: scaling.factor }
            : {
                rope_type: "llama3",
                factor: scaling.factor,
                low_freq_factor: scaling.lowFrequencyFactor,
                high_freq_factor: scaling.highFrequencyFactor,
                original_max_position_embeddings: scaling.originalContextLength,
              },
      ...(mistral ? { sliding_window: config.slidingWindow } : { attention_bias: false, mlp_bias: false }),
      tie_word_embeddings: tied,
      torch_dtype: TORCH_TYPES[format],
      bos_token_id: special?.bos,
      eos_token_id: special?.eos,
      ...(config.name === "" ? {} : { _name_or_path: config.name }),
    },
    undefined,
    2,
  );
}
