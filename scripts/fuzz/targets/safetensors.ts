/** safetensors files, alone and under a shard index; Hugging Face's names and config.json. */
import { openSafetensors } from "../../../src/files/safetensors/read.ts";
import { writeSafetensors } from "../../../src/files/safetensors/write.ts";
import { dialectName } from "../../../src/model/tensor-names.ts";
import { expectedShapes } from "../../../src/model/weights.ts";
import { memoryFiles } from "../../../tests/memory-files.ts";
import { memorySink } from "../../../tests/memory-sink.ts";
import { smallConfig, storedRows } from "../../../tests/random-model.ts";
import { readTensors } from "../read-tensors.ts";
import type { FuzzTarget } from "../target.ts";

const tiny = {
  ...smallConfig,
  vocabularySize: 6,
  width: 8,
  headLength: 2,
  ropeLength: 2,
  feedForwardLength: 8,
  layerCount: 1,
};
const config = JSON.stringify({
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  vocab_size: 6,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
});
const jsonTokens = [
  "null",
  "-1",
  "0",
  "1e999",
  "9007199254740993",
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  '"__proto__":{},',
];

async function modelBytes(): Promise<Uint8Array> {
  const vectors = new Set<string>();
  const tensors = [...expectedShapes(tiny)].map(([canonical, [rows, columns]]) => {
    const name = dialectName("safetensors", canonical) as string;
    if (rows === 1) vectors.add(name);
    return storedRows(
      name,
      Array.from({ length: rows }, () => new Float32Array(columns)),
    );
  });
  const sink = memorySink();
  await writeSafetensors(sink, { metadata: new Map([["format", "pt"]]), tensors, vectors });
  return sink.bytes();
}

export const safetensorsTarget: FuzzTarget = {
  name: "safetensors",
  seeds: async () => [await modelBytes()],
  tokens: [
    ...jsonTokens,
    '"dtype":"I64"',
    '"BF16"',
    '"F16"',
    '"shape":[0]',
    '"data_offsets":[0,0]',
    "__metadata__",
  ],
  async run(bytes) {
    const files = memoryFiles({ "m/model.safetensors": bytes, "m/config.json": config });
    await readTensors(await openSafetensors("m/model.safetensors", files));
  },
};

const goodModel = await modelBytes();

/** The two JSON files beside the tensors: index, a zero byte, config. */
export const safetensorsJsonTarget: FuzzTarget = {
  name: "safetensors-json",
  seeds: () => {
    const names = [...expectedShapes(tiny).keys()].map((name) => dialectName("safetensors", name));
    const map = Object.fromEntries(names.map((name) => [name, "model-1.safetensors"]));
    const index = JSON.stringify({ metadata: { total_size: 1 }, weight_map: map });
    return [new TextEncoder().encode(`${index}\0${config}`)];
  },
  tokens: [...jsonTokens, '"rope_scaling":{"type":"linear","factor":2},', "../../x", "/etc/passwd", "\0"],
  async run(bytes) {
    const cut = bytes.indexOf(0);
    const files = memoryFiles({
      "m/model.safetensors.index.json": bytes.slice(0, Math.max(0, cut)),
      "m/config.json": bytes.slice(cut + 1),
      "m/model-1.safetensors": goodModel,
    });
    await readTensors(await openSafetensors("m/model.safetensors.index.json", files));
  },
};
