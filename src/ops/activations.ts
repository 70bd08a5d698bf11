/**
 * Activations as int8 blocks of 32: what `matmul` multiplies packed weights with.
 *
 *   d = max |x| / 127 over the block      q[c] = round(x[c] / d)      sum = d · Σ q over each half of it
 *
 * llama.cpp's native build does so too, with scales in f16 and blocks of 256 for K formats (docs/decisions/0003), so its
 * perplexity on a packed file is our oracle.
 * Source: ggml's Q8_0 and Q8_1, the activation side of its dot products.
 */

/** Values that share a scale. */
export const ACTIVATION_BLOCK = 32;

/** In a block of magnitudes below this all quants are 0: 127 / d would be infinite. */
const SMALLEST_BLOCK = 2 ** -121;

/** Numbers of this size have no fractions: adding it rounds to the nearest integer, ties to even. */
const ROUND_TO_EVEN = 1.5 * 2 ** 52;

/** The nearest integer, of two the even one. */
export function roundToEven(value: number): number {
  return value + ROUND_TO_EVEN - ROUND_TO_EVEN;
}

/** One row of x. `quants` holds whole blocks: what lies beyond the columns is 0. */
export interface QuantizedRow {
  readonly quants: Int8Array;
  readonly scales: Float32Array;
  /** scale · Σ quants over each half block of 16, for weights with an offset. */
  readonly halfSums: Float32Array;
}

export function quantizedRow(columns: number): QuantizedRow {
  const blocks = Math.ceil(columns / ACTIVATION_BLOCK);
  return {
    quants: new Int8Array(blocks * ACTIVATION_BLOCK),
    scales: new Float32Array(blocks),
    halfSums: new Float32Array(2 * blocks),
  };
}

/** Fills `out` from the values of `x`, whose length is a multiple of 32. */
export function quantizeActivations(x: Float32Array, out: QuantizedRow): void {
  const { quants, scales, halfSums } = out;
  for (let block = 0, first = 0; first < x.length; block++, first += ACTIVATION_BLOCK) {
    let largest = 0;
    for (let c = first; c < first + ACTIVATION_BLOCK; c++) largest = Math.max(largest, Math.abs(x[c]));
    const inverse = largest < SMALLEST_BLOCK ? 0 : Math.fround(127 / largest);
    const scale = Math.fround(largest / 127);
    scales[block] = scale;
    for (let half = 0; half < 2; half++) {
      let sum = 0;
      const start = first + 16 * half;
      for (let c = start; c < start + 16; c++) {
        const q = roundToEven(Math.fround(x[c] * inverse));
        quants[c] = q;
        sum += q;
      }
      halfSums[2 * block + half] = scale * sum;
    }
  }
}
