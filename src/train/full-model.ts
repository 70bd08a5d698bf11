/**
 * A model whose every weight is trained: which parameters it has, how they start, and how they become weights of a file.
 *
 * Matrices that multiply the same input are one parameter, as model/load.ts has them: q | k | v and gate | up.
 *
 *   start: matrices normal with deviation 0.02; those that add to the residual stream 0.02 / √(2 · layers); gains 1
 *
 * Flow: ModelConfig → shapes → ParameterStore → forward.ts; ParameterStore → StoredTensors → model file.
 * Source: the initialisation of GPT-2 (Radford et al. 2019), which Llama's reimplementations share.
 */
import type { StoredTensor } from "../files/stored-tensor.ts";
import { Random } from "../generate/random.ts";
import type { ModelConfig } from "../model/config.ts";
import { expectedShapes, type ModelWeights } from "../model/weights.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import type { TrainingModel } from "./forward.ts";
import type { ParameterShape, ParameterStore } from "./parameters.ts";

export const ROPE_FACTORS = "rope_freqs.weight";

/** A parameter and the weights of a file that lie in it, in order of their rows. */
interface Fused {
  readonly name: string;
  readonly parts: readonly string[];
  /** Deviation of the values that it starts with; gains have none and start at 1. */
  readonly deviation?: number;
}

function fusedParameters(config: ModelConfig, tied: boolean): Fused[] {
  const deviation = 0.02;
  const residual = deviation / Math.sqrt(2 * config.layerCount);
  const list: Fused[] = [one("token_embd.weight", deviation)];
  for (let layer = 0; layer < config.layerCount; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}.weight`;
    list.push(
      one(name("attn_norm")),
      { name: name("attn_qkv"), parts: ["attn_q", "attn_k", "attn_v"].map(name), deviation },
      one(name("attn_output"), residual),
      one(name("ffn_norm")),
      { name: name("ffn_gate_up"), parts: ["ffn_gate", "ffn_up"].map(name), deviation },
      one(name("ffn_down"), residual),
    );
  }
  list.push(one("output_norm.weight"));
  if (!tied) list.push(one("output.weight", deviation));
  return list;
}

function one(name: string, deviation?: number): Fused {
  return { name, parts: [name], ...(deviation === undefined ? {} : { deviation }) };
}

/** Shapes of all weights of a file, by GGUF name. */
function weightShapes(config: ModelConfig): Map<string, readonly [rows: number, columns: number]> {
  const shapes = expectedShapes(config);
  shapes.set("output.weight", [config.vocabularySize, config.width]);
  return shapes;
}

function rowsOf(shapes: ReturnType<typeof weightShapes>, name: string): readonly [number, number] {
  const shape = shapes.get(name);
  if (!shape) throw new Error(`no Llama has a weight ${name}`);
  return shape;
}

/** The parameters of a model of this shape; a tied one has no head of its own. */
export function fullModelShapes(config: ModelConfig, tied: boolean): ParameterShape[] {
  const shapes = weightShapes(config);
  return fusedParameters(config, tied).map(({ name, parts, deviation }) => ({
    name,
    rows: parts.reduce((sum, part) => sum + rowsOf(shapes, part)[0], 0),
    columns: rowsOf(shapes, parts[0])[1],
    decay: deviation !== undefined,
  }));
}

/** The store's parameters where the forward pass looks for them. */
export function fullModel(
  store: ParameterStore,
  config: ModelConfig,
  frequencies: Tensor,
  tied: boolean,
): TrainingModel {
  const parameter = (name: string) => store.parameter(`${name}.weight`);
  const embedding = parameter("token_embd");
  return {
    embedding,
    layers: Array.from({ length: config.layerCount }, (_, layer) => {
      const own = (name: string) => parameter(`blk.${layer}.${name}`);
      return {
        attentionNorm: own("attn_norm"),
        qkv: [own("attn_qkv")],
        attentionOutput: own("attn_output"),
        feedForwardNorm: own("ffn_norm"),
        gateUp: [own("ffn_gate_up")],
        down: own("ffn_down"),
      };
    }),
    outputNorm: parameter("output_norm"),
    head: tied ? embedding : parameter("output"),
    frequencies,
  };
}

/** Random values from a seed; every parameter has a sequence of its own, so their order does not matter. */
export function initialize(store: ParameterStore, config: ModelConfig, tied: boolean, seed: number): void {
  fusedParameters(config, tied).forEach(({ name, deviation }, index) => {
    const { rows, columns } = store.shape(name);
    const values = new Float32Array(rows * columns).fill(1);
    if (deviation !== undefined) fillNormal(values, deviation, new Random(seed * 65_536 + index));
    store.write(name, values);
  });
}

/** Normal numbers in pairs. Source: Box & Muller 1958. */
function fillNormal(values: Float32Array, deviation: number, random: Random): void {
  for (let i = 0; i < values.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random.next()));
    const angle = 2 * Math.PI * random.next();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
  }
}

/** Takes the weights of a model file, in any format, as the values to start from. */
export async function fillFrom(
  store: ParameterStore,
  config: ModelConfig,
  tied: boolean,
  weights: ModelWeights,
): Promise<void> {
  for (const { name, parts } of fusedParameters(config, tied)) {
    const { rows, columns } = store.shape(name);
    const values = new Float32Array(rows * columns);
    let row = 0;
    for (const part of parts) {
      const stored = weights.get(part);
      if (!stored) throw new Error(`${part} passed the check of model/weights.ts, but is missing`);
      await dequantizeInto(stored, values.subarray(row * columns));
      row += stored.rows;
    }
    store.write(name, values);
  }
}

/** The same weights as F32, made row by row when they are read. */
export function floatWeights(weights: ModelWeights): Map<string, StoredTensor> {
  return new Map(
    Array.from(weights, ([name, stored]) => {
      const { rows, columns, shape } = stored;
      const readRows = async (first: number, count: number): Promise<Uint8Array> => {
        const values = new Float32Array(count * columns);
        await dequantizeInto(stored, values, first, count);
        return new Uint8Array(values.buffer);
      };
      return [name, { name, format: "F32", rows, columns, ...(shape ? { shape } : {}), readRows }];
    }),
  );
}

/** The divisors of rope's frequencies that a file may hold as a table, as those of Llama 3.1 do; they are not trained. */
export async function storedRopeFactors(
  weights: ModelWeights | undefined,
): Promise<Float32Array | undefined> {
  const stored = weights?.get(ROPE_FACTORS);
  if (!stored) return undefined;
  const values = new Float32Array(stored.columns);
  await dequantizeInto(stored, values);
  return values;
}

async function dequantizeInto(
  stored: StoredTensor,
  values: Float32Array,
  rowFirst = 0,
  rowCount: number = stored.rows,
): Promise<void> {
  const { format, columns } = stored;
  const bytes = await stored.readRows(rowFirst, rowCount);
  const stride = bytes.length / rowCount;
  for (let r = 0; r < rowCount; r++)
    dequantizeRow(format, bytes, r * stride, columns, values.subarray(r * columns, (r + 1) * columns));
}

/** The parameters as weights of a file, read from the device when a writer asks for them. */
export function trainedWeights(
  store: ParameterStore,
  config: ModelConfig,
  tied: boolean,
): Map<string, StoredTensor> {
  const shapes = weightShapes(config);
  const weights = new Map<string, StoredTensor>();
  for (const { name, parts } of fusedParameters(config, tied)) {
    let rowStart = 0;
    for (const part of parts) {
      const [rows, columns] = rowsOf(shapes, part);
      const start = rowStart;
      rowStart += rows;
      weights.set(part, {
        name: part,
        format: "F32",
        rows,
        columns,
        async readRows(rowFirst, rowCount) {
          const values = await store.read(name);
          const from = (start + rowFirst) * columns;
          return new Uint8Array(values.slice(from, from + rowCount * columns).buffer);
        },
      });
    }
  }
  return weights;
}
