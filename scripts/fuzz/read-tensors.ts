/** Uses an opened model file as an engine would: rows of every tensor, then the shape and the names of the model. */
import type { TensorFile } from "../../src/files/stored-tensor.ts";
import { readConfig } from "../../src/model/config.ts";
import { modelWeights } from "../../src/model/weights.ts";
import { rowBytes } from "../../src/tensor/format.ts";

const MOST_TENSORS = 64;

/** Reads the first, a middle and the last rows of tensors, and checks that each has the length it should have. */
export async function readTensors(file: TensorFile): Promise<void> {
  for (const tensor of [...file.tensors.values()].slice(0, MOST_TENSORS)) {
    const expected = rowBytes(tensor.format, tensor.columns);
    const middle = tensor.rows >> 1;
    for (const [row, count] of [
      [0, 1],
      [middle, Math.min(2, tensor.rows - middle)],
      [tensor.rows - 1, 1],
    ] as const) {
      const bytes = await tensor.readRows(row, count);
      if (bytes.length !== expected * count)
        throw new Error(
          `${tensor.name}: ${count} rows at ${row} gave ${bytes.length} bytes, not ${expected * count}`,
        );
    }
  }
  // A GGUF without this key holds tensors of something else than a model.
  if (file.kind !== "gguf" || file.metadata.has("general.architecture")) modelWeights(file, readConfig(file));
}
