/** Builds llama2.c files of any version from random values, for tests and as seeds of the fuzzer. */

export interface Llama2cShape {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly tied: boolean;
  readonly groupSize: number;
}

export const smallShape: Llama2cShape = {
  dim: 8,
  hiddenDim: 12,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  vocabularySize: 10,
  contextLength: 6,
  tied: false,
  groupSize: 8,
};

export interface BuiltLlama2c {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What readers should find, by Meta's name; rows below each other. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** A file and the values that lie in it. The order of tensors is written out here a second time, on purpose. */
export function buildLlama2c(version: 0 | 1 | 2, shape: Llama2cShape = smallShape): BuiltLlama2c {
  const file = new Writer(version === 2 ? shape.groupSize : undefined);
  writeHeader(file, version, shape);
  const { dim, hiddenDim, vocabularySize } = shape;
  const kvDim = (dim / shape.headCount) * shape.kvHeadCount;
  const layers = (name: string, count: number, quantized = true): void => {
    for (let layer = 0; layer < shape.layerCount; layer++)
      file.tensor(`layers.${layer}.${name}`, count, quantized);
  };
  if (version === 0) {
    file.tensor("tok_embeddings.weight", vocabularySize * dim);
    layers("attention_norm.weight", dim);
  } else {
    layers("attention_norm.weight", dim, false);
    layers("ffn_norm.weight", dim, false);
    file.tensor("norm.weight", dim, false);
    file.tensor("tok_embeddings.weight", vocabularySize * dim);
  }
  layers("attention.wq.weight", dim * dim);
  layers("attention.wk.weight", kvDim * dim);
  layers("attention.wv.weight", kvDim * dim);
  layers("attention.wo.weight", dim * dim);
  if (version === 0) layers("ffn_norm.weight", dim);
  layers("feed_forward.w1.weight", hiddenDim * dim);
  layers("feed_forward.w2.weight", hiddenDim * dim);
  layers("feed_forward.w3.weight", hiddenDim * dim);
  if (version === 0) {
    file.tensor("norm.weight", dim);
    // Cosines and sines: half a head of each per position.
    file.floats(new Float32Array((shape.contextLength * dim) / shape.headCount).fill(0.5));
  }
  if (!shape.tied) file.tensor("output.weight", vocabularySize * dim);
  return { bytes: file.bytes(), values: file.values };
}

function writeHeader(file: Writer, version: 0 | 1 | 2, shape: Llama2cShape): void {
  const sign = version === 0 && !shape.tied ? -1 : 1;
  const sizes = [
    shape.dim,
    shape.hiddenDim,
    shape.layerCount,
    shape.headCount,
    shape.kvHeadCount,
    sign * shape.vocabularySize,
    shape.contextLength,
  ];
  if (version === 0) {
    file.put(new Uint8Array(new Int32Array(sizes).buffer));
    return;
  }
  const header = new DataView(new ArrayBuffer(256));
  header.setUint32(0, 0x616b3432, true);
  header.setInt32(4, version, true);
  for (const [i, size] of sizes.entries()) header.setInt32(8 + 4 * i, size, true);
  header.setUint8(36, shape.tied ? 1 : 0);
  if (version === 2) header.setInt32(37, shape.groupSize, true);
  file.put(new Uint8Array(header.buffer));
}

class Writer {
  readonly values = new Map<string, Float32Array>();
  readonly #groupSize: number | undefined;
  readonly #pieces: Uint8Array[] = [];
  #state = 1;

  constructor(groupSize: number | undefined) {
    this.#groupSize = groupSize;
  }

  put(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
  }

  floats(values: Float32Array): void {
    this.put(new Uint8Array(values.buffer));
  }

  tensor(name: string, count: number, quantized = true): void {
    const groupSize = quantized ? this.#groupSize : undefined;
    const values = new Float32Array(count);
    this.values.set(name, values);
    if (groupSize === undefined) {
      for (let i = 0; i < count; i++) values[i] = this.#random();
      this.floats(values);
      return;
    }
    const numbers = Int8Array.from(values, () => Math.trunc(this.#random() * 254));
    const scales = Float32Array.from({ length: count / groupSize }, () => this.#random());
    for (let i = 0; i < count; i++) values[i] = numbers[i]! * scales[Math.floor(i / groupSize)]!;
    this.put(new Uint8Array(numbers.buffer));
    this.floats(scales);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    let byteOffset = 0;
    for (const piece of this.#pieces) {
      all.set(piece, byteOffset);
      byteOffset += piece.length;
    }
    return all;
  }

  /** In [−0.5, 0.5). */
  #random(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32 - 0.5;
  }
}
