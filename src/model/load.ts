/**
 * Brings a model's weights into a device's memory, a few rows at a time, in their file's format.
 *
 * Weights that multiply the same input are put below each other where their formats agree, so that one matmul serves
 * them: q | k | v and gate | up.
 *
 * Flow: model/weights.ts (rows in a file) → loadWeights → model/llama.ts (tensors).
 */
import { rowPieces } from "../files/row-pieces.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { tensorBytes } from "../files/stored-tensor.ts";
import { throwIfAborted } from "../shared/errors.ts";
import { type Bank, banksOf, type Device } from "../tensor/device.ts";
import { rowBytes } from "../tensor/format.ts";
import { denseTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
import { dequantizeRow } from "../tensor/unpack.ts";
import type { ModelConfig } from "./config.ts";
import { type Placement, singlePlacement } from "./placement.ts";
import { ropeFrequencies } from "./rope-frequencies.ts";
import type { ModelWeights } from "./weights.ts";

/** One block's weights. Matrices are [outputs, inputs]; a list holds matrices whose outputs lie side by side. */
export interface LayerWeights {
  /** [1, width] F32 */
  readonly attentionNorm: Tensor;
  /** q, k and v: [(heads + 2 · key/value heads) · headLength, width] in one to three tensors */
  readonly qkv: readonly Tensor[];
  /** [width, heads · headLength] */
  readonly attentionOutput: Tensor;
  /** [1, width] F32 */
  readonly feedForwardNorm: Tensor;
  /** gate and up: [2 · feedForward, width] in one or two tensors */
  readonly gateUp: readonly Tensor[];
  /** [width, feedForward] */
  readonly down: Tensor;
}

/** A whole model in a device's memory. */
export interface LlamaWeights {
  /** [vocabulary, width] */
  readonly embedding: Tensor;
  readonly layers: readonly LayerWeights[];
  /** [1, width] F32 */
  readonly outputNorm: Tensor;
  /** [vocabulary, width]; the embedding itself when tied */
  readonly head: Tensor;
  /** [1, ropeLength / 2] F32, radians per position; the same in every bank */
  readonly frequencies: readonly Tensor[];
  /** Which banks of the device hold the layers and the head. */
  readonly placement: Placement;
  dispose(): void;
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

export interface LoadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** For a device of several banks. Default: everything in the first. */
  readonly placement?: Placement;
}

/** Reads every weight once, in file format, into the device. What was loaded is freed again when it fails. */
export async function loadWeights(
  device: Device,
  config: ModelConfig,
  weights: ModelWeights,
  options: LoadOptions = {},
): Promise<LlamaWeights> {
  const loader = new Loader(device, weights, options);
  const placement = options.placement ?? singlePlacement(config.layerCount);
  try {
    const embedding = await loader.matrix(["token_embd.weight"]);
    const layers: LayerWeights[] = [];
    for (const [index, bank] of placement.layers.entries()) {
      loader.useBank(bank);
      layers.push(await loadLayer(loader, `blk.${index}.`));
    }
    loader.useBank(placement.head);
    const outputNorm = await loader.vector("output_norm.weight");
    const head = weights.has("output.weight") ? await loader.matrix(["output.weight"]) : embedding;
    const factors = weights.get("rope_freqs.weight");
    const values = ropeFrequencies(config, factors && (await readFloats(factors)));
    const frequencies = Array.from({ length: placement.bankCount }, (_, bank) => {
      loader.useBank(bank);
      return loader.floats(values);
    });
    return {
      embedding,
      layers,
      outputNorm,
      head,
      frequencies,
      placement,
      dispose: () => loader.dispose(),
    };
  } catch (error) {
    loader.dispose();
    throw error;
  }
}

async function loadLayer(loader: Loader, prefix: string): Promise<LayerWeights> {
  return {
    attentionNorm: await loader.vector(`${prefix}attn_norm.weight`),
    qkv: await loader.matrices(["attn_q", "attn_k", "attn_v"].map((name) => `${prefix}${name}.weight`)),
    attentionOutput: await loader.matrix([`${prefix}attn_output.weight`]),
    feedForwardNorm: await loader.vector(`${prefix}ffn_norm.weight`),
    gateUp: await loader.matrices(["ffn_gate", "ffn_up"].map((name) => `${prefix}${name}.weight`)),
    down: await loader.matrix([`${prefix}ffn_down.weight`]),
  };
}

class Loader {
  readonly #device: Device;
  readonly #weights: ModelWeights;
  readonly #options: LoadOptions;
  readonly #memories: Memory[] = [];
  readonly #totalBytes: number;
  #bank: Bank;
  #loadedBytes = 0;

  constructor(device: Device, weights: ModelWeights, options: LoadOptions) {
    this.#device = device;
    this.#bank = banksOf(device)[0];
    this.#weights = weights;
    this.#options = options;
    this.#totalBytes = [...weights.values()].reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  }

  /** What is loaded from now on goes there. */
  useBank(bank: number): void {
    this.#bank = banksOf(this.#device)[bank];
  }

  /** The named matrices as one tensor when their formats agree, else as one each. */
  async matrices(names: readonly string[]): Promise<Tensor[]> {
    const formats = new Set(names.map((name) => this.#stored(name).format));
    if (formats.size === 1) return [await this.matrix(names)];
    const tensors: Tensor[] = [];
    for (const name of names) tensors.push(await this.matrix([name]));
    return tensors;
  }

  /** The named matrices, of one format and width, below each other. */
  async matrix(names: readonly string[]): Promise<Tensor> {
    const parts = names.map((name) => this.#watched(this.#stored(name)));
    if (!this.#bank.loadWeight) return this.#copyRows(parts, parts[0].format);
    const tensor = await this.#bank.loadWeight(parts);
    this.#memories.push(tensor.memory);
    return tensor;
  }

  /** A row of gains as F32, whatever the file holds. */
  async vector(name: string): Promise<Tensor> {
    return this.floats(await readFloats(this.#watched(this.#stored(name))));
  }

  floats(values: Float32Array): Tensor {
    const memory = this.#bank.allocate(values.byteLength);
    this.#memories.push(memory);
    this.#device.write(memory, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return denseTensor(memory, 0, 1, values.length, "F32");
  }

  dispose(): void {
    for (const memory of this.#memories.splice(0)) this.#device.free(memory);
  }

  #stored(name: string): StoredTensor {
    const tensor = this.#weights.get(name);
    if (!tensor) throw new Error(`${name} passed the check of model/weights.ts, but is missing`);
    return tensor;
  }

  /** The same tensor, reporting progress and looking at the signal whenever rows are read. */
  #watched(tensor: StoredTensor): StoredTensor {
    const { signal, onProgress } = this.#options;
    return {
      name: tensor.name,
      format: tensor.format,
      rows: tensor.rows,
      columns: tensor.columns,
      readRows: async (rowFirst, rowCount, into) => {
        throwIfAborted(signal);
        const rows = await tensor.readRows(rowFirst, rowCount, into);
        this.#loadedBytes += rows.length;
        onProgress?.({ loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes });
        return rows;
      },
    };
  }

  async #copyRows(parts: readonly StoredTensor[], format: Tensor["format"]): Promise<Tensor> {
    const columns = parts[0].columns;
    const bytesPerRow = rowBytes(format, columns);
    const rowCount = parts.reduce((sum, part) => sum + part.rows, 0);
    const memory = this.#bank.allocate(rowCount * bytesPerRow);
    this.#memories.push(memory);
    let byteOffset = 0;
    for (const part of parts) {
      for await (const piece of rowPieces(part)) {
        this.#device.write(memory, piece, byteOffset);
        byteOffset += piece.length;
      }
    }
    return denseTensor(memory, 0, rowCount, columns, format);
  }
}

async function readFloats(tensor: StoredTensor): Promise<Float32Array> {
  const values = new Float32Array(tensor.columns);
  dequantizeRow(tensor.format, await tensor.readRows(0, 1), 0, tensor.columns, values);
  return values;
}
