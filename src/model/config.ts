/**
 * The shape of a model, read from whichever dialect its file speaks: GGUF keys, Hugging Face's config.json, or Meta's
 * params.json (which llama2.c's header shares).
 *
 * Flow: files (metadata, config) → readConfig → model/weights.ts (expected shapes) → model/llama.ts.
 * Source: the papers of Llama 1 to 3; the GGUF specification; transformers' LlamaConfig and MistralConfig.
 */
import type { TensorFile } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { Settings } from "./settings.ts";

/** How positions beyond the trained context are squeezed in. */
export type RopeScaling =
  | { readonly type: "none" }
  /** Every angle divided by `factor`. */
  | { readonly type: "linear"; readonly factor: number }
  /** Llama 3.1: low frequencies divided by `factor`, high ones kept, a smooth passage between. */
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextLength: number;
    };

/** Everything that the forward pass needs to know of a model besides its weights. */
export interface ModelConfig {
  /** The model's own name, or "". */
  readonly name: string;
  readonly vocabularySize: number;
  /** Positions the model was trained for. */
  readonly contextLength: number;
  /** Channels of the residual stream. */
  readonly width: number;
  readonly layerCount: number;
  readonly feedForwardLength: number;
  readonly headCount: number;
  /** Key/value heads; each serves headCount / kvHeadCount query heads. */
  readonly kvHeadCount: number;
  /** Channels of a head. */
  readonly headLength: number;
  /** Channels of a head that rope rotates. */
  readonly ropeLength: number;
  readonly normEpsilon: number;
  readonly ropeBase: number;
  readonly ropeScaling: RopeScaling;
  /** Positions a token sees, itself included; 0 for all. */
  readonly slidingWindow: number;
}

/** The largest plausible value of any size below: the check that keeps absurd files from costing memory. */
const LARGEST_SIZE = 2 ** 24;

/**
 * Reads the model's shape out of an opened file.
 *
 * @throws {CriaError} code "unsupported" for another architecture, "bad-file" for missing or contradictory settings.
 */
export function readConfig(file: TensorFile): ModelConfig {
  const config =
    file.kind === "gguf"
      ? fromGguf(file)
      : file.kind === "safetensors"
        ? fromHuggingFace(file)
        : fromMeta(file);
  check(config, file.name);
  return config;
}

function fromGguf(file: TensorFile): ModelConfig {
  const settings = new Settings(file.name, file.metadata);
  const architecture = settings.text("general.architecture");
  if (architecture !== "llama") throw unsupportedArchitecture(file.name, architecture);
  const width = settings.number("llama.embedding_length");
  const headCount = settings.number("llama.attention.head_count");
  const headLength = settings.number("llama.attention.key_length", Math.floor(width / headCount));
  const valueLength = settings.number("llama.attention.value_length", headLength);
  if (valueLength !== headLength)
    throw new CriaError(
      "unsupported",
      `${file.name}: keys of ${headLength} and values of ${valueLength} channels`,
    );
  if (settings.has("llama.expert_count") && settings.number("llama.expert_count") > 0)
    throw new CriaError("unsupported", `${file.name}: a mixture of experts; expected a dense Llama`);
  return {
    name: settings.text("general.name", ""),
    vocabularySize: settings.number("llama.vocab_size", settings.count("tokenizer.ggml.tokens")),
    contextLength: settings.number("llama.context_length"),
    width,
    layerCount: settings.number("llama.block_count"),
    feedForwardLength: settings.number("llama.feed_forward_length"),
    headCount,
    kvHeadCount: settings.number("llama.attention.head_count_kv", headCount),
    headLength,
    ropeLength: settings.number("llama.rope.dimension_count", headLength),
    normEpsilon: settings.number("llama.attention.layer_norm_rms_epsilon"),
    ropeBase: settings.number("llama.rope.freq_base", 10_000),
    // Llama 3's scaling is not in GGUF's keys but in the tensor rope_freqs.weight (model/rope-frequencies.ts).
    ropeScaling: ggufScaling(settings),
    slidingWindow: settings.number("llama.attention.sliding_window", 0),
  };
}

function ggufScaling(settings: Settings): RopeScaling {
  // 0 stands for none, as in llama.cpp.
  const factor =
    settings.number("llama.rope.scaling.factor", settings.number("llama.rope.scale_linear", 1)) || 1;
  const type = settings.text("llama.rope.scaling.type", factor === 1 ? "none" : "linear");
  if (type === "none") return { type };
  if (type === "linear") return { type, factor };
  throw settings.unsupported("llama.rope.scaling.type", type, "none or linear");
}

const HUGGING_FACE_ARCHITECTURES = ["llama", "mistral"];

function fromHuggingFace(file: TensorFile): ModelConfig {
  const settings = new Settings(`${file.name}: config.json`, new Map(Object.entries(file.config)));
  const architecture = settings.text("model_type");
  if (!HUGGING_FACE_ARCHITECTURES.includes(architecture))
    throw unsupportedArchitecture(file.name, architecture);
  for (const key of ["attention_bias", "mlp_bias"])
    if (settings.flag(key, false))
      throw settings.unsupported(key, true, "false: Llama's projections have no bias");
  const activation = settings.text("hidden_act", "silu");
  if (activation !== "silu") throw settings.unsupported("hidden_act", activation, "silu");
  const width = settings.number("hidden_size");
  const headCount = settings.number("num_attention_heads");
  const headLength = settings.number("head_dim", Math.floor(width / headCount));
  // transformers 5 gathers what rope needs under rope_parameters; before, it was rope_scaling and rope_theta.
  const rope = settings.section("rope_parameters") ?? settings.section("rope_scaling");
  for (const part of rope ? [settings, rope] : [settings]) {
    const share = part.number("partial_rotary_factor", 1);
    if (share !== 1) throw part.unsupported("partial_rotary_factor", share, "1");
  }
  return {
    name: settings.text("_name_or_path", ""),
    vocabularySize: settings.number("vocab_size"),
    contextLength: settings.number("max_position_embeddings", 2048),
    width,
    layerCount: settings.number("num_hidden_layers"),
    feedForwardLength: settings.number("intermediate_size"),
    headCount,
    kvHeadCount: settings.number("num_key_value_heads", headCount),
    headLength,
    ropeLength: headLength,
    normEpsilon: settings.number("rms_norm_eps", 1e-6),
    ropeBase: settings.number("rope_theta", rope?.number("rope_theta", 10_000) ?? 10_000),
    ropeScaling: rope ? huggingFaceScaling(rope) : { type: "none" },
    slidingWindow: architecture === "mistral" ? settings.number("sliding_window", 0) : 0,
  };
}

function huggingFaceScaling(rope: Settings): RopeScaling {
  const type = rope.text("rope_type", rope.text("type", "default"));
  switch (type) {
    case "default":
      return { type: "none" };
    case "linear":
      return { type, factor: rope.number("factor") };
    case "llama3":
      return {
        type,
        factor: rope.number("factor"),
        lowFrequencyFactor: rope.number("low_freq_factor"),
        highFrequencyFactor: rope.number("high_freq_factor"),
        originalContextLength: rope.number("original_max_position_embeddings"),
      };
    default:
      throw rope.unsupported("rope_type", type, "default, linear or llama3");
  }
}

function fromMeta(file: TensorFile): ModelConfig {
  const settings = new Settings(`${file.name}: params.json`, new Map(Object.entries(file.config)));
  const width = settings.number("dim");
  const headCount = settings.number("n_heads");
  const ropeBase = settings.number("rope_theta", 10_000);
  const scaled = settings.flag("use_scaled_rope", false);
  // params.json names no context: 4096 is Llama 2's, 8192 Llama 3's, 131072 Llama 3.1's.
  const contextLength = scaled ? 131_072 : ropeBase >= 500_000 ? 8192 : 4096;
  const embedding = file.tensors.get("tok_embeddings.weight");
  const declared = settings.number("vocab_size", -1);
  return {
    name: "",
    // Llama 2's params.json holds −1: the true size is that of the embedding.
    vocabularySize: declared > 0 ? declared : (embedding?.rows ?? 0),
    contextLength: settings.number("max_seq_len", contextLength),
    width,
    layerCount: settings.number("n_layers"),
    feedForwardLength: settings.number("hidden_dim", metaFeedForwardLength(settings, width)),
    headCount,
    kvHeadCount: settings.number("n_kv_heads", headCount),
    headLength: Math.floor(width / headCount),
    ropeLength: Math.floor(width / headCount),
    normEpsilon: settings.number("norm_eps", 1e-5),
    ropeBase,
    ropeScaling: scaled
      ? {
          type: "llama3",
          factor: settings.number("rope_scaling_factor", 8),
          lowFrequencyFactor: 1,
          highFrequencyFactor: settings.number("rope_high_freq_factor", 4),
          originalContextLength: 8192,
        }
      : { type: "none" },
    slidingWindow: settings.number("sliding_window", 0),
  };
}

/** Meta's rule: ⅔ of 4·width, times an optional multiplier, rounded up to a multiple of `multiple_of`. */
function metaFeedForwardLength(settings: Settings, width: number): number {
  const multiple = settings.number("multiple_of", 256);
  const base = Math.trunc((2 * 4 * width) / 3);
  const scaled = Math.trunc(settings.number("ffn_dim_multiplier", 1) * base);
  return multiple * Math.ceil(scaled / multiple);
}

function check(config: ModelConfig, name: string): void {
  const sizes: [string, number][] = [
    ["vocabulary size", config.vocabularySize],
    ["context length", config.contextLength],
    ["embedding length", config.width],
    ["layer count", config.layerCount],
    ["feed-forward length", config.feedForwardLength],
    ["head count", config.headCount],
    ["key/value head count", config.kvHeadCount],
    ["head length", config.headLength],
    ["rope length", config.ropeLength],
  ];
  for (const [what, value] of sizes)
    if (!Number.isInteger(value) || value < 1 || value > LARGEST_SIZE)
      throw new CriaError(
        "bad-file",
        `${name}: ${what} is ${value}; expected an integer from 1 to ${LARGEST_SIZE}`,
      );
  if (!Number.isInteger(config.slidingWindow) || config.slidingWindow < 0)
    throw new CriaError("bad-file", `${name}: sliding window is ${config.slidingWindow}; expected 0 or more`);
  if (config.headCount % config.kvHeadCount !== 0)
    throw new CriaError(
      "bad-file",
      `${name}: ${config.headCount} heads do not share ${config.kvHeadCount} key/value heads`,
    );
  if (config.ropeLength > config.headLength || config.ropeLength % 2 !== 0)
    throw new CriaError(
      "bad-file",
      `${name}: rope length ${config.ropeLength} does not fit heads of ${config.headLength}`,
    );
  for (const [what, value] of [
    ["norm epsilon", config.normEpsilon],
    ["rope base", config.ropeBase],
    ["rope scaling factor", config.ropeScaling.type === "none" ? 1 : config.ropeScaling.factor],
  ] as const)
    if (!(value > 0 && Number.isFinite(value)))
      throw new CriaError("bad-file", `${name}: ${what} is ${value}; expected > 0`);
}

function unsupportedArchitecture(name: string, architecture: string): CriaError {
  return new CriaError(
    "unsupported",
    `${name}: the architecture is "${architecture}"; Cria runs the llama family`,
  );
}
