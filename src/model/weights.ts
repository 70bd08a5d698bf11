/**
 * The weights of a model file under GGUF's names, in Meta's row order, with checked shapes.
 *
 * Rope turns neighbouring channels, as Meta's and GGUF's rows have it. Hugging Face keeps the two channels of a pair
 * half a head apart, so the rows of its q and k are reordered on the way in:
 *
 *   Meta row 2i = HF row i      Meta row 2i + 1 = HF row i + headLength / 2      (within each head)
 *
 * Flow: files (TensorFile) → modelWeights → model/load.ts (device memory), model/convert.ts (another file).
 */
import type { StoredTensor, TensorFile } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { rowBytes } from "../tensor/format.ts";
import type { ModelConfig } from "./config.ts";
import { canonicalName, type Dialect, isDerived } from "./tensor-names.ts";

/** Weights by GGUF name. `output.weight` is absent when the head is tied to the embedding. */
export type ModelWeights = ReadonlyMap<string, StoredTensor>;

/**
 * Names, reorders and checks the tensors of a file.
 *
 * @throws {CriaError} "not-found" for a missing tensor, "bad-file" for a wrong shape, "unsupported" for one that a
 * Llama does not have (biases, experts): ignoring it would give wrong text.
 */
export function modelWeights(file: TensorFile, config: ModelConfig): ModelWeights {
  const dialect = dialectOf(file);
  const weights = new Map<string, StoredTensor>();
  const [unsupported] = file.unsupported ?? [];
  if (unsupported)
    throw new CriaError(
      "unsupported",
      `${file.name}: Cria cannot read the format ${unsupported.format} of "${unsupported.name}"`,
    );
  for (const tensor of file.tensors.values()) {
    if (isDerived(tensor.name)) continue;
    const name = canonicalName(dialect, tensor.name);
    if (name === undefined)
      throw new CriaError("unsupported", `${file.name}: no Llama has a tensor "${tensor.name}"`);
    const permuted = dialect === "safetensors" && /attn_[qk]\.weight$/.test(name);
    weights.set(name, permuted ? reorderRows(tensor, config.headLength, "meta") : tensor);
  }
  checkShapes(weights, config, file.name);
  return weights;
}

function dialectOf(file: TensorFile): Dialect {
  return file.kind === "llama2c" ? "meta" : file.kind;
}

/** Rows and columns of every weight that a model of this shape must have, by GGUF name. */
export function expectedShapes(config: ModelConfig): Map<string, readonly [rows: number, columns: number]> {
  const { width, feedForwardLength, vocabularySize } = config;
  const queryLength = config.headCount * config.headLength;
  const keyLength = config.kvHeadCount * config.headLength;
  const shapes = new Map<string, readonly [number, number]>([
    ["token_embd.weight", [vocabularySize, width]],
    ["output_norm.weight", [1, width]],
  ]);
  for (let layer = 0; layer < config.layerCount; layer++) {
    const prefix = `blk.${layer}.`;
    shapes.set(`${prefix}attn_norm.weight`, [1, width]);
    shapes.set(`${prefix}attn_q.weight`, [queryLength, width]);
    shapes.set(`${prefix}attn_k.weight`, [keyLength, width]);
    shapes.set(`${prefix}attn_v.weight`, [keyLength, width]);
    shapes.set(`${prefix}attn_output.weight`, [width, queryLength]);
    shapes.set(`${prefix}ffn_norm.weight`, [1, width]);
    shapes.set(`${prefix}ffn_gate.weight`, [feedForwardLength, width]);
    shapes.set(`${prefix}ffn_up.weight`, [feedForwardLength, width]);
    shapes.set(`${prefix}ffn_down.weight`, [width, feedForwardLength]);
  }
  return shapes;
}

function checkShapes(weights: ModelWeights, config: ModelConfig, fileName: string): void {
  // A layer count that the file cannot back would make the table below huge.
  if (config.layerCount > weights.size)
    throw new CriaError(
      "bad-file",
      `${fileName}: ${config.layerCount} layers, but only ${weights.size} tensors`,
    );
  const shapes = expectedShapes(config);
  if (weights.has("output.weight")) shapes.set("output.weight", [config.vocabularySize, config.width]);
  if (weights.has("rope_freqs.weight")) shapes.set("rope_freqs.weight", [1, config.ropeLength / 2]);
  for (const [name, [rows, columns]] of shapes) {
    const tensor = weights.get(name);
    if (!tensor) throw new CriaError("not-found", `${fileName}: the tensor ${name} is missing`);
    if (tensor.rows !== rows || tensor.columns !== columns)
      throw new CriaError(
        "bad-file",
        `${fileName}: ${tensor.name} is [${tensor.rows}, ${tensor.columns}]; expected [${rows}, ${columns}]`,
      );
  }
  for (const name of weights.keys())
    if (!shapes.has(name))
      throw new CriaError(
        "bad-file",
        `${fileName}: ${name} lies outside the model's ${config.layerCount} layers`,
      );
}

/**
 * The same tensor with the rows of each head in the other order: "meta" takes Hugging Face's rows to Meta's order,
 * "huggingface" the other way.
 */
export function reorderRows(
  tensor: StoredTensor,
  headLength: number,
  target: "meta" | "huggingface",
): StoredTensor {
  const half = headLength / 2;
  const sourceRow = (row: number): number => {
    const head = Math.floor(row / headLength) * headLength;
    const r = row - head;
    if (target === "meta") return head + Math.floor(r / 2) + (r % 2 === 0 ? 0 : half);
    return head + (r < half ? 2 * r : 2 * (r - half) + 1);
  };
  const bytesPerRow = rowBytes(tensor.format, tensor.columns);
  return {
    ...tensor,
    async readRows(rowFirst, rowCount) {
      const first = Math.floor(rowFirst / headLength) * headLength;
      const end = Math.min(tensor.rows, Math.ceil((rowFirst + rowCount) / headLength) * headLength);
      const source = await tensor.readRows(first, end - first);
      const rows = new Uint8Array(rowCount * bytesPerRow);
      for (let i = 0; i < rowCount; i++) {
        const at = (sourceRow(rowFirst + i) - first) * bytesPerRow;
        rows.set(source.subarray(at, at + bytesPerRow), i * bytesPerRow);
      }
      return rows;
    },
  };
}
