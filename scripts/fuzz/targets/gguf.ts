/** GGUF files: settings, vocabularies of both kinds, tensors of several formats. */
import { memorySource } from "../../../src/files/byte-source.ts";
import { openGguf } from "../../../src/files/gguf/read.ts";
import type { GgufType } from "../../../src/files/gguf/types.ts";
import { type GgufEntry, writeGguf } from "../../../src/files/gguf/write.ts";
import type { MetadataValue, StoredTensor } from "../../../src/files/stored-tensor.ts";
import { expectedShapes } from "../../../src/model/weights.ts";
import { rowBytes, type TensorFormat } from "../../../src/tensor/format.ts";
import { vocabularyFromGguf } from "../../../src/tokenizer/from-gguf.ts";
import { vocabularyToGguf } from "../../../src/tokenizer/to-gguf.ts";
import type { Vocabulary } from "../../../src/tokenizer/vocabulary.ts";
import { byteLevelVocabulary, sentencePieceVocabulary } from "../../../tests/builders/vocabulary.ts";
import { memorySink } from "../../../tests/memory-sink.ts";
import { smallConfig } from "../../../tests/random-model.ts";
import { readTensors } from "../read-tensors.ts";
import type { FuzzTarget } from "../target.ts";
import { useVocabulary } from "../use-vocabulary.ts";

export const ggufTarget: FuzzTarget = {
  name: "gguf",
  async seeds() {
    return [
      await modelSeed(sentencePieceVocabulary(["▁a", "b"]), "Q8_0"),
      await modelSeed(byteLevelVocabulary(["a b"], ["<|endoftext|>"], { preTokenizer: "smollm" }), "F16"),
      await written(everyType, [zeros("x", 3, 256, "Q4_K"), zeros("y", 1, 64, "Q4_0")]),
      await written([], []),
    ];
  },
  tokens: [
    "GGUF",
    "general.alignment",
    "split.count",
    "llama.block_count",
    "token_embd.weight",
    "tokenizer.ggml.",
  ],
  async run(bytes) {
    const file = await openGguf(memorySource(bytes, "fuzz.gguf"));
    if (file.metadata.has("tokenizer.ggml.model")) useVocabulary(vocabularyFromGguf(file.metadata));
    await readTensors(file);
  },
};

async function modelSeed(vocabulary: Vocabulary, format: TensorFormat): Promise<Uint8Array> {
  const config = { ...smallConfig, vocabularySize: vocabulary.pieces.length };
  const settings: [string, MetadataValue][] = [
    ["general.architecture", "llama"],
    ["llama.context_length", config.contextLength],
    ["llama.embedding_length", config.width],
    ["llama.block_count", config.layerCount],
    ["llama.feed_forward_length", config.feedForwardLength],
    ["llama.attention.head_count", config.headCount],
    ["llama.attention.head_count_kv", config.kvHeadCount],
  ];
  const entries = [...settings, ...vocabularyToGguf(vocabulary)].map(([key, value]) => entry(key, value));
  entries.push({ key: "llama.attention.layer_norm_rms_epsilon", type: "f32", value: 1e-5 });
  const tensors = [...expectedShapes(config)].map(([name, [rows, columns]]) =>
    zeros(name, rows, columns, rows === 1 ? "F32" : format),
  );
  return written(entries, tensors);
}

const everyType: readonly GgufEntry[] = [
  { key: "a", type: "u8", value: 1 },
  { key: "b", type: "i64", value: -(2n ** 60n) },
  { key: "c", type: "array<array<u16>>", value: [[1, 2], [3]] },
  { key: "d", type: "array<string>", value: ["x", "y"] },
  { key: "e", type: "bool", value: true },
  { key: "f", type: "f64", value: 0.5 },
  { key: "general.alignment", type: "u32", value: 64 },
];

function entry(key: string, value: MetadataValue): GgufEntry {
  return { key, type: typeOf(value), value };
}

function typeOf(value: MetadataValue): GgufType {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (value instanceof Float32Array) return "array<f32>";
  if (Array.isArray(value) && typeof value[0] === "string") return "array<string>";
  return typeof value === "object" ? "array<i32>" : "u32";
}

function zeros(name: string, rows: number, columns: number, format: TensorFormat): StoredTensor {
  const bytesPerRow = rowBytes(format, columns);
  return { name, format, rows, columns, readRows: async (_, count) => new Uint8Array(count * bytesPerRow) };
}

async function written(entries: readonly GgufEntry[], tensors: readonly StoredTensor[]): Promise<Uint8Array> {
  const sink = memorySink();
  await writeGguf(sink, { entries, tensors });
  return sink.bytes();
}
