/** Tensors with known contents on any device: what the cases of cases.ts are made of. */
import type { Device } from "../../src/tensor/device.ts";
import { blockBytes, isPacked, rowBytes, type TensorFormat } from "../../src/tensor/format.ts";
import { floatToBfloat, floatToHalf } from "../../src/tensor/half.ts";
import { denseTensor, type Tensor } from "../../src/tensor/tensor.ts";

/** Pseudo-random numbers in [-1, 1), the same for the same seed. */
export function randomValues(count: number, seed: number): Float32Array {
  let state = (seed + 1) * 0x9e3779b1;
  return Float32Array.from({ length: count }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x5bd1e995;
    state = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return (state >> 8) / 2 ** 23;
  });
}

/** Where a block of a packed format has its f16 scales. */
const SCALES_AT: Partial<Record<TensorFormat, readonly number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  IQ4_NL: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

/** Rows of weights in a file's format: any bits are values, but scales are of a size that real ones have. */
export function randomWeights(format: TensorFormat, rows: number, columns: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(rows * rowBytes(format, columns));
  const view = new DataView(bytes.buffer);
  if (!isPacked(format)) {
    randomValues(rows * columns, seed).forEach((value, index) => {
      if (format === "F32") view.setFloat32(4 * index, value, true);
      else view.setUint16(2 * index, format === "F16" ? floatToHalf(value) : floatToBfloat(value), true);
    });
    return bytes;
  }
  randomValues(bytes.length, seed).forEach((value, index) => {
    bytes[index] = 128 * value + 128;
  });
  const scales = randomValues(2 * bytes.length, seed + 1);
  for (let block = 0; block < bytes.length; block += blockBytes(format))
    for (const at of SCALES_AT[format] ?? [])
      view.setUint16(block + at, floatToHalf(0.02 * scales[block + at]), true);
  return bytes;
}

/** A device under test, or the reference, and the tensors that a case puts there. */
export class Place {
  readonly device: Device;

  constructor(device: Device) {
    this.device = device;
  }

  floats(values: Float32Array, rows: number): Tensor {
    return this.#written(
      new Uint8Array(values.buffer, 0, values.byteLength),
      rows,
      values.length / rows,
      "F32",
    );
  }

  /** [rows, columns] in [-scale, scale). */
  random(rows: number, columns: number, seed: number, scale = 1): Tensor {
    return this.floats(
      randomValues(rows * columns, seed).map((value) => scale * value),
      rows,
    );
  }

  ints(values: readonly number[], rows = 1): Tensor {
    const words = Int32Array.from(values);
    return this.#written(new Uint8Array(words.buffer), rows, words.length / rows, "I32");
  }

  count(rows: number): Tensor {
    return this.ints([rows]);
  }

  output(rows: number, columns: number, format: TensorFormat = "F32"): Tensor {
    const memory = this.device.allocate(rows * rowBytes(format, columns));
    return denseTensor(memory, 0, rows, columns, format);
  }

  /** Weights as training has them: written in the file's order. */
  plainWeights(format: TensorFormat, rows: number, columns: number, seed: number): Tensor {
    return this.#written(randomWeights(format, rows, columns, seed), rows, columns, format);
  }

  /** Weights as a model is loaded: in parts, by the device's own method if it has one. */
  async weights(
    format: TensorFormat,
    rows: readonly number[],
    columns: number,
    seed: number,
  ): Promise<Tensor> {
    const bytesPerRow = rowBytes(format, columns);
    const total = rows.reduce((sum, count) => sum + count, 0);
    if (!this.device.loadWeight) return this.plainWeights(format, total, columns, seed);
    const bytes = randomWeights(format, total, columns, seed);
    let start = 0;
    const parts = rows.map((count) => {
      const first = start;
      start += count;
      return {
        format,
        rows: count,
        columns,
        readRows: async (rowFirst: number, rowCount: number) =>
          bytes.slice((first + rowFirst) * bytesPerRow, (first + rowFirst + rowCount) * bytesPerRow),
      };
    });
    return this.device.loadWeight(parts);
  }

  async read(tensor: Tensor): Promise<Uint8Array> {
    const byteLength = (tensor.rows - 1) * tensor.stride + rowBytes(tensor.format, tensor.columns);
    return this.device.read(tensor.memory, tensor.byteOffset, byteLength);
  }

  #written(bytes: Uint8Array, rows: number, columns: number, format: TensorFormat): Tensor {
    const memory = this.device.allocate(bytes.length);
    this.device.write(memory, bytes);
    return denseTensor(memory, 0, rows, columns, format);
  }
}
