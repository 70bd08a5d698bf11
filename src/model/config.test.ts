import { describe, expect, it } from "vitest";
import type { Metadata, TensorFile } from "../files/stored-tensor.ts";
import { readConfig } from "./config.ts";
import { ropeFactors, ropeFrequencies } from "./rope-frequencies.ts";

function fileOf(
  kind: TensorFile["kind"],
  config: Record<string, unknown>,
  metadata: Metadata = new Map(),
): TensorFile {
  return {
    kind,
    name: "m",
    metadata,
    config,
    tensors: new Map(),
    paths: [],
    byteLength: 0,
    async close() {},
  };
}

/** Meta's params.json of each Llama 2, with the true vocabulary. */
const llama2 = {
  "7B": { dim: 4096, multiple_of: 256, n_heads: 32, n_layers: 32, norm_eps: 1e-5, vocab_size: 32000 },
  "13B": { dim: 5120, multiple_of: 256, n_heads: 40, n_layers: 40, norm_eps: 1e-5, vocab_size: 32000 },
  "34B": {
    dim: 8192,
    multiple_of: 256,
    ffn_dim_multiplier: 1.0,
    n_heads: 64,
    n_kv_heads: 8,
    n_layers: 48,
    vocab_size: 32000,
  },
  "70B": {
    dim: 8192,
    multiple_of: 4096,
    ffn_dim_multiplier: 1.3,
    n_heads: 64,
    n_kv_heads: 8,
    n_layers: 80,
    vocab_size: 32000,
  },
};

describe("readConfig", () => {
  it.each([
    ["7B", 11008, 32],
    ["13B", 13824, 40],
    ["34B", 22016, 8],
    ["70B", 28672, 8],
  ] as const)("derives the feed-forward length of Llama 2 %s", (size, feedForwardLength, kvHeadCount) => {
    const config = readConfig(fileOf("meta", llama2[size]));
    expect(config).toMatchObject({
      feedForwardLength,
      kvHeadCount,
      headLength: 128,
      contextLength: 4096,
      ropeBase: 10_000,
    });
  });

  it("reads Llama 3.2 1B from config.json", () => {
    const config = readConfig(
      fileOf("safetensors", {
        model_type: "llama",
        hidden_size: 2048,
        head_dim: 64,
        num_attention_heads: 32,
        num_key_value_heads: 8,
        num_hidden_layers: 16,
        intermediate_size: 8192,
        vocab_size: 128256,
        max_position_embeddings: 131072,
        rms_norm_eps: 1e-5,
        rope_theta: 500000,
        rope_scaling: {
          rope_type: "llama3",
          factor: 32,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 8192,
        },
      }),
    );
    expect(config.ropeScaling).toMatchObject({ type: "llama3", factor: 32 });
    const factors = ropeFactors(config) as Float32Array;
    // Short waves stay, long ones are stretched by the whole factor, those between by a part of it.
    expect(factors[0]).toBe(1);
    expect(factors[31]).toBe(32);
    expect([...factors].every((factor, i) => i === 0 || factor >= factors[i - 1])).toBe(true);
    expect([...factors].some((factor) => factor > 1 && factor < 32)).toBe(true);
  });

  it("refuses a rope that turns a part of a head's channels only", () => {
    const settings = {
      model_type: "llama",
      hidden_size: 64,
      num_attention_heads: 4,
      partial_rotary_factor: 0.5,
    };
    expect(() => readConfig(fileOf("safetensors", settings))).toThrow("partial_rotary_factor");
  });

  it("reads Mistral 7B's window, and transformers 5's rope_parameters", () => {
    const config = readConfig(
      fileOf("safetensors", {
        model_type: "mistral",
        hidden_size: 4096,
        num_attention_heads: 32,
        num_key_value_heads: 8,
        num_hidden_layers: 32,
        intermediate_size: 14336,
        vocab_size: 32000,
        max_position_embeddings: 32768,
        sliding_window: 4096,
        rope_parameters: { rope_type: "default", rope_theta: 1000000 },
      }),
    );
    expect(config).toMatchObject({ slidingWindow: 4096, ropeBase: 1_000_000, ropeScaling: { type: "none" } });
  });

  const ggufKeys: readonly (readonly [string, string | number])[] = [
    ["general.architecture", "llama"],
    ["llama.vocab_size", 100],
    ["llama.context_length", 128],
    ["llama.embedding_length", 64],
    ["llama.block_count", 2],
    ["llama.feed_forward_length", 96],
    ["llama.attention.head_count", 4],
    ["llama.attention.layer_norm_rms_epsilon", 1e-5],
    ["llama.rope.scaling.type", "linear"],
    ["llama.rope.scaling.factor", 4],
  ];
  const fromKeys = (...more: (readonly [string, string | number])[]) =>
    readConfig(fileOf("gguf", {}, new Map([...ggufKeys, ...more])));

  it("reads GGUF keys with their defaults", () => {
    const config = fromKeys();
    expect(config).toMatchObject({
      kvHeadCount: 4,
      headLength: 16,
      ropeLength: 16,
      ropeBase: 10_000,
      slidingWindow: 0,
    });
    const frequencies = ropeFrequencies(config);
    expect(frequencies[0]).toBe(0.25);
    expect(frequencies[1]).toBeCloseTo(10_000 ** (-2 / 16) / 4, 7);
    expect(ropeFrequencies(fromKeys(["llama.rope.scaling.factor", 0]))[0]).toBe(1);
  });

  it.each([
    ["llama.rope.scaling.factor", -4],
    ["llama.attention.sliding_window", -3],
    ["llama.attention.sliding_window", 2.5],
  ])("refuses %s of %d", (key, value) => {
    expect(() => fromKeys([key, value])).toThrow(expect.objectContaining({ code: "bad-file" }));
  });

  it.each([
    ["another architecture", { model_type: "gpt2" }, /"gpt2"; Cria runs the llama family/],
    ["a bias", { model_type: "llama", attention_bias: true }, /attention_bias is true/],
    ["a missing size", { model_type: "llama" }, /hidden_size should be a number, but is nothing/],
    [
      "text for a size",
      { model_type: "llama", hidden_size: "big" },
      /hidden_size should be a number, but is big/,
    ],
  ])("refuses %s", (_, config, message) => {
    expect(() => readConfig(fileOf("safetensors", config))).toThrow(message);
  });

  it.each([
    [{ dim: 64, n_heads: 3, n_kv_heads: 2, n_layers: 1, vocab_size: 9 }, /3 heads do not share 2/],
    [{ dim: 64, n_heads: 0, n_layers: 1, vocab_size: 9 }, /head count is 0/],
    [{ dim: 2 ** 30, n_heads: 2, n_layers: 1, vocab_size: 9 }, /embedding length is 1073741824/],
    [{ dim: 64, n_heads: 2, n_layers: 1, vocab_size: 9, norm_eps: -1 }, /norm epsilon is -1/],
  ])("refuses contradictory sizes %#", (params, message) => {
    expect(() => readConfig(fileOf("meta", params))).toThrow(message);
  });
});
