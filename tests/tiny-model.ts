/**
 * Writes a small Llama with random weights as a GGUF file, for tests that need a whole model but no meaning.
 *
 * Its vocabulary is SentencePiece's: bytes, printable ASCII, and made-up words. The head never prefers a byte, control
 * or end token, so that greedy text is words and goes on until it is cut; a seed always gives the same file.
 */

import { type GgufEntry, writeGguf } from "../src/files/gguf/write.ts";
import type { ModelConfig } from "../src/model/config.ts";
import { type RecommendedSampling, recommendedEntries } from "../src/model/recommended-sampling.ts";
import { nodeFiles } from "../src/platform/node/file-system.ts";
import { kindCodes } from "../src/tokenizer/vocabulary.ts";
import { matricesFile, randomMatrices, seededNumbers, smallConfig } from "./random-model.ts";

export interface TinyModelOptions {
  readonly seed?: number;
  readonly contextLength?: number;
  /** Channels; a head has a quarter of them. Default 32. */
  readonly width?: number;
  /** Jinja; "" for none. Default: a format that any message fits. */
  readonly chatTemplate?: string;
  readonly architecture?: string;
  /** Rows of the embedding and of the head that stand for no piece. Default 0. */
  readonly padding?: number;
  /** What the file recommends. Default: nothing. */
  readonly sampling?: RecommendedSampling;
}

/** `[user] text\n[assistant] text\n …` */
const PLAIN_TEMPLATE =
  "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}" +
  "{% if add_generation_prompt %}[assistant] {% endif %}";

/** Tokens 0 to 258: unknown, bos, eos, bytes. */
const FIRST_WORD = 259;

/** Writes the model to `path`. */
export async function writeTinyModel(path: string, options: TinyModelOptions = {}): Promise<void> {
  const { seed = 1, contextLength = 256, chatTemplate = PLAIN_TEMPLATE, architecture = "llama" } = options;
  const { width = smallConfig.width, padding = 0, sampling = {} } = options;
  const headLength = width / smallConfig.headCount;
  const words = tinyWords();
  const pieces = ["<unk>", "<s>", "</s>", ...bytePieces(), ...words];
  const config: ModelConfig = {
    ...smallConfig,
    ...{ name: "Tiny", contextLength, vocabularySize: pieces.length + padding },
    ...{ width, headLength, ropeLength: headLength },
  };
  const matrices = new Map(randomMatrices(config, seed, false));
  const head = matrices.get("output.weight") ?? [];
  matrices.set(
    "output.weight",
    head.map((row, id) => (id < FIRST_WORD ? new Float32Array(row.length) : row)),
  );
  const kinds = pieces.map((_, id) =>
    id === 0
      ? kindCodes.unknown
      : id < 3
        ? kindCodes.control
        : id < FIRST_WORD
          ? kindCodes.byte
          : kindCodes.normal,
  );
  const entries: GgufEntry[] = [
    { key: "general.architecture", type: "string", value: architecture },
    ...shapeEntries(architecture, config),
    { key: "tokenizer.ggml.model", type: "string", value: "llama" },
    { key: "tokenizer.ggml.tokens", type: "array<string>", value: pieces },
    // Longer pieces merge first.
    {
      key: "tokenizer.ggml.scores",
      type: "array<f32>",
      value: Float32Array.from(pieces, ({ length }) => length),
    },
    { key: "tokenizer.ggml.token_type", type: "array<i32>", value: Int32Array.from(kinds) },
    { key: "tokenizer.ggml.bos_token_id", type: "u32", value: 1 },
    { key: "tokenizer.ggml.eos_token_id", type: "u32", value: 2 },
    ...(chatTemplate === ""
      ? []
      : [{ key: "tokenizer.chat_template", type: "string", value: chatTemplate } as const]),
    ...recommendedEntries(sampling),
  ];
  const sink = await nodeFiles.create(path);
  await writeGguf(sink, { entries, tensors: [...matricesFile(matrices).tensors.values()] });
  await sink.close();
}

function shapeEntries(architecture: string, config: ModelConfig): GgufEntry[] {
  const whole = (key: string, value: number): GgufEntry => ({
    key: `${architecture}.${key}`,
    type: "u32",
    value,
  });
  return [
    { key: "general.name", type: "string", value: config.name },
    whole("vocab_size", config.vocabularySize),
    whole("context_length", config.contextLength),
    whole("embedding_length", config.width),
    whole("block_count", config.layerCount),
    whole("feed_forward_length", config.feedForwardLength),
    whole("attention.head_count", config.headCount),
    whole("attention.head_count_kv", config.kvHeadCount),
    whole("rope.dimension_count", config.ropeLength),
    { key: `${architecture}.attention.layer_norm_rms_epsilon`, type: "f32", value: config.normEpsilon },
  ];
}

function bytePieces(): string[] {
  return Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
}

/** Printable ASCII, the space, and words of a consonant and a vowel or two such pairs, alone and after a space. */
function tinyWords(): string[] {
  const next = seededNumbers(7);
  const characters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const pairs = [..."bdklmnrst"].flatMap((consonant) => [..."aeiou"].map((vowel) => consonant + vowel));
  const words = pairs.map((pair) => pair + pairs[Math.floor(((next() + 1) / 2) * pairs.length)]);
  return [...characters, "▁", ...pairs, ...new Set([...pairs, ...words].map((word) => `▁${word}`))];
}
