/**
 * Low-rank adapters: the base stays as it is, in any format, and each chosen matrix gets a product of two small ones.
 *
 *   y = x·Wᵀ + (alpha / rank) · dropout(x)·Aᵀ·Bᵀ      A uniform in ±1/√inputs, B zeros: the start is the base
 *
 * Flow: LlamaWeights (frozen) + LoraSettings → ParameterStore (A, B) → forward.ts.
 * Source: Hu et al. 2021, arXiv 2106.09685; Dettmers et al. 2023, arXiv 2305.14314 (a quantized base); PEFT's start.
 */
import { Random } from "../generate/random.ts";
import type { AdapterContents, AdapterMatrices } from "../model/adapter.ts";
import type { ModelConfig } from "../model/config.ts";
import type { LlamaWeights } from "../model/load.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Adapter, AdapterTarget, TrainingModel } from "./forward.ts";
import type { ParameterShape, ParameterStore } from "./parameters.ts";
import type { LoraSettings } from "./recipe.ts";
import type { Parameter } from "./tape.ts";

/** Inputs and outputs of the matrices that can have an adapter. */
export function targetShape(config: ModelConfig, target: AdapterTarget): { inputs: number; outputs: number } {
  const { width, feedForwardLength } = config;
  const queryLength = config.headCount * config.headLength;
  const keyLength = config.kvHeadCount * config.headLength;
  switch (target) {
    case "attn_q":
      return { inputs: width, outputs: queryLength };
    case "attn_k":
    case "attn_v":
      return { inputs: width, outputs: keyLength };
    case "attn_output":
      return { inputs: queryLength, outputs: width };
    case "ffn_gate":
    case "ffn_up":
      return { inputs: width, outputs: feedForwardLength };
    case "ffn_down":
      return { inputs: feedForwardLength, outputs: width };
  }
}

/** Name of a matrix's A or B: that of its weight in a GGUF adapter, `blk.0.attn_q.weight.lora_a`. */
function adapterName(layer: number, target: AdapterTarget, part: "a" | "b"): string {
  return `blk.${layer}.${target}.weight.lora_${part}`;
}

/** A [rank, inputs] and B [outputs, rank] of every chosen matrix. */
export function loraShapes(config: ModelConfig, { rank, targets }: LoraSettings): ParameterShape[] {
  const shapes: ParameterShape[] = [];
  for (let layer = 0; layer < config.layerCount; layer++)
    for (const target of targets) {
      const { inputs, outputs } = targetShape(config, target);
      shapes.push(
        { name: adapterName(layer, target, "a"), rows: rank, columns: inputs, decay: true },
        { name: adapterName(layer, target, "b"), rows: outputs, columns: rank, decay: true },
      );
    }
  return shapes;
}

/** Random A; B stays 0. */
export function initializeLora(store: ParameterStore, seed: number): void {
  store.names.forEach((name, index) => {
    if (!name.endsWith("lora_a")) return;
    const { rows, columns } = store.shape(name);
    const random = new Random(seed * 65_536 + index);
    const bound = 1 / Math.sqrt(columns);
    store.write(
      name,
      Float32Array.from({ length: rows * columns }, () => bound * (2 * random.next() - 1)),
    );
  });
}

/** The base alone, of which nothing is trained. */
export function frozenModel(base: LlamaWeights): TrainingModel {
  const frozen = (value: Tensor): Parameter => ({ value });
  return {
    embedding: frozen(base.embedding),
    layers: base.layers.map((layer) => ({
      attentionNorm: frozen(layer.attentionNorm),
      qkv: layer.qkv.map(frozen),
      attentionOutput: frozen(layer.attentionOutput),
      feedForwardNorm: frozen(layer.feedForwardNorm),
      gateUp: layer.gateUp.map(frozen),
      down: frozen(layer.down),
    })),
    outputNorm: frozen(base.outputNorm),
    head: frozen(base.head),
    frequencies: base.frequencies[0],
  };
}

/** The base with its adapters, where the forward pass looks for them. `seed` is a [1, 1] I32 for dropout. */
export function loraModel(
  base: LlamaWeights,
  store: ParameterStore,
  settings: LoraSettings,
  seed: Tensor,
): TrainingModel {
  const model = frozenModel(base);
  return {
    ...model,
    layers: model.layers.map((layer, index) => ({
      ...layer,
      adapters: Object.fromEntries(
        settings.targets.map((target) => [target, adapterOf(store, index, target)]),
      ),
    })),
    adapterScale: settings.alpha / settings.rank,
    ...(settings.dropout > 0 ? { adapterDropout: { rate: settings.dropout, seed } } : {}),
  };
}

function adapterOf(store: ParameterStore, layer: number, target: AdapterTarget): Adapter {
  return {
    a: store.parameter(adapterName(layer, target, "a")),
    b: store.parameter(adapterName(layer, target, "b")),
  };
}

/** The trained adapters as contents of a file. */
export async function trainedAdapter(
  store: ParameterStore,
  name: string,
  { rank, alpha }: LoraSettings,
): Promise<AdapterContents> {
  const matrices = new Map<string, AdapterMatrices>();
  for (const parameter of store.names) {
    const weight = /^(.*)\.lora_a$/.exec(parameter)?.[1];
    if (weight === undefined) continue;
    const [a, b] = [await store.read(parameter), await store.read(`${weight}.lora_b`)];
    matrices.set(weight, { a, b, rank });
  }
  return { name, alpha, matrices };
}
