/**
 * Opens a llama2.c model file (`stories15M.bin` and its like) of any version.
 *
 * Version 2 holds int8 values with one F32 scale per group. Its rows are given as F32 = value · scale, which is what
 * llama2.c computes with, bit for bit; requantizing to Q8_0 would round the scales to half precision.
 *
 * Flow: ByteSource → header.ts → layout.ts → openLlama2c (TensorFile under Meta's names) → model/weights.ts.
 * Source: karpathy/llama2.c, export.py, run.c and runq.c.
 */
import type { ByteSource } from "../byte-source.ts";
import { checkRows } from "../check-rows.ts";
import type { StoredTensor, TensorFile } from "../stored-tensor.ts";
import { type Llama2cHeader, readHeader } from "./header.ts";
import { type Llama2cTensor, tensorLayout } from "./layout.ts";

/**
 * Reads the header and finds the tensors; their rows are read on demand. Closing the result closes the source.
 *
 * @throws {CriaError} "bad-file" when the header and the file's size do not agree to the byte, "unsupported" for an
 * unknown version.
 */
export async function openLlama2c(source: ByteSource): Promise<TensorFile> {
  const header = await readHeader(source);
  const tensors = new Map<string, StoredTensor>();
  for (const place of tensorLayout(header, source.byteLength, source.name))
    if (place.name !== undefined) tensors.set(place.name, storedTensor(source, place.name, place));
  return {
    kind: "llama2c",
    name: source.name,
    metadata: new Map(),
    config: configOf(header),
    tensors,
    paths: [source.name],
    byteLength: source.byteLength,
    close: () => source.close(),
  };
}

/** The header under the names of Meta's params.json. llama2.c fixes the norm's ε and the rope's base in its code. */
function configOf(header: Llama2cHeader): Record<string, unknown> {
  return {
    dim: header.dim,
    hidden_dim: header.hiddenDim,
    n_layers: header.layerCount,
    n_heads: header.headCount,
    n_kv_heads: header.kvHeadCount,
    vocab_size: header.vocabularySize,
    max_seq_len: header.contextLength,
    norm_eps: 1e-5,
    rope_theta: 10_000,
    tied: header.tied,
  };
}

function storedTensor(source: ByteSource, name: string, place: Llama2cTensor): StoredTensor {
  const { rows, columns, groupSize } = place;
  return {
    name,
    format: "F32",
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      checkRows({ name, rows }, rowFirst, rowCount);
      if (groupSize !== undefined) return readGroups(source, place, groupSize, rowFirst, rowCount);
      return source.read(place.byteOffset + rowFirst * columns * 4, rowCount * columns * 4);
    },
  };
}

/** Groups run over the flat values, so one may begin in the middle of a row. */
async function readGroups(
  source: ByteSource,
  place: Llama2cTensor,
  groupSize: number,
  rowFirst: number,
  rowCount: number,
): Promise<Uint8Array> {
  const valueFirst = rowFirst * place.columns;
  const valueCount = rowCount * place.columns;
  if (valueCount === 0) return new Uint8Array(0);
  const groupFirst = Math.floor(valueFirst / groupSize);
  const groupCount = Math.ceil((valueFirst + valueCount) / groupSize) - groupFirst;
  const scalesOffset = place.byteOffset + place.rows * place.columns;
  const [bytes, scaleBytes] = await Promise.all([
    source.read(place.byteOffset + valueFirst, valueCount),
    source.read(scalesOffset + groupFirst * 4, groupCount * 4),
  ]);
  const scales = new DataView(scaleBytes.buffer, scaleBytes.byteOffset, scaleBytes.byteLength);
  const values = new Int8Array(bytes.buffer, bytes.byteOffset, valueCount);
  const floats = new Float32Array(valueCount);
  let i = 0;
  for (let group = 0; group < groupCount; group++) {
    const scale = scales.getFloat32(group * 4, true);
    const end = Math.min(valueCount, (groupFirst + group + 1) * groupSize - valueFirst);
    for (; i < end; i++) floats[i] = (values[i] as number) * scale;
  }
  return new Uint8Array(floats.buffer);
}
