/**
 * A Llama with random weights in memory, of any shape, as the readers of src/files would give it; and a forward pass
 * over it that shares no code with the engine.
 */
import type { StoredTensor, TensorFile } from "../src/files/stored-tensor.ts";
import type { ModelConfig } from "../src/model/config.ts";
import { expectedShapes } from "../src/model/weights.ts";

/** A small model with grouped queries. */
export const smallConfig: ModelConfig = {
  name: "random",
  vocabularySize: 48,
  contextLength: 256,
  width: 32,
  layerCount: 2,
  feedForwardLength: 64,
  headCount: 4,
  kvHeadCount: 2,
  headLength: 8,
  ropeLength: 8,
  normEpsilon: 1e-5,
  ropeBase: 10_000,
  ropeScaling: { type: "none" },
  slidingWindow: 0,
};

/** The same with heads of 32 channels, which a cache in Q8_0 needs. */
export const wideConfig: ModelConfig = { ...smallConfig, width: 128, headLength: 32, ropeLength: 32 };

/** Uniform numbers in [-1, 1) from a seed (a linear congruential generator: nothing better is needed here). */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export type Matrices = ReadonlyMap<string, readonly Float32Array[]>;

/** Random rows for every weight, by GGUF name; norms lie near 1. */
export function randomMatrices(config: ModelConfig, seed: number, tied: boolean): Matrices {
  const next = seededNumbers(seed);
  const shapes = expectedShapes(config);
  if (!tied) shapes.set("output.weight", [config.vocabularySize, config.width]);
  return new Map(
    Array.from(shapes, ([name, [rows, columns]]) => [
      name,
      Array.from({ length: rows }, () =>
        Float32Array.from({ length: columns }, () =>
          name.includes("norm") ? 1 + 0.2 * next() : (1.7 * next()) / Math.sqrt(columns),
        ),
      ),
    ]),
  );
}

/** The matrices as an opened GGUF file. */
export function matricesFile(matrices: Matrices): TensorFile {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, rows] of matrices) tensors.set(name, storedRows(name, rows));
  return {
    kind: "gguf",
    name: "random",
    metadata: new Map(),
    config: {},
    tensors,
    paths: [],
    byteLength: 0,
    async close() {},
  };
}

export function storedRows(name: string, rows: readonly Float32Array[]): StoredTensor {
  return {
    name,
    format: "F32",
    rows: rows.length,
    columns: rows[0].length,
    async readRows(rowFirst, rowCount) {
      const values = rows.slice(rowFirst, rowFirst + rowCount).flatMap((row) => [...row]);
      return new Uint8Array(Float32Array.from(values).buffer);
    },
  };
}

/** How a cache rounds the keys or values of a token. */
export type Rounding = (row: readonly number[]) => number[];

const toHalves: Rounding = (row) => row.map(Math.f16round);

/** Blocks of 32 whole numbers and their scale in f16. */
export const toEightBits: Rounding = (row) =>
  row.map((value, i) => {
    const block = row.slice(i - (i % 32), i - (i % 32) + 32);
    const scale = Math.max(...block.map(Math.abs)) / 127;
    return Math.round(value / scale) * Math.f16round(scale);
  });

/** Logits after each token of a sequence, computed anew from the first token, in doubles but for keys and values. */
export function naiveLogits(
  config: ModelConfig,
  matrices: Matrices,
  ids: readonly number[],
  rounding: Rounding = toHalves,
): number[][] {
  const rowsOf = (name: string) => matrices.get(name) ?? [];
  const times = (name: string, x: readonly number[]) =>
    rowsOf(name).map((row) => x.reduce((sum, value, i) => sum + value * row[i], 0));
  const norm = (name: string, x: readonly number[]) => {
    const scale =
      1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + config.normEpsilon);
    return x.map((value, i) => value * scale * rowsOf(name)[0][i]);
  };
  let xs = ids.map((id) => [...rowsOf("token_embd.weight")[id]]);
  for (let layer = 0; layer < config.layerCount; layer++) {
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const normed = xs.map((x) => norm(name("attn_norm"), x));
    const q = normed.map((x, t) => rotated(config, times(name("attn_q"), x), t));
    const k = normed.map((x, t) => rounding(rotated(config, times(name("attn_k"), x), t)));
    const v = normed.map((x) => rounding(times(name("attn_v"), x)));
    xs = xs.map((x, t) => {
      const output = times(name("attn_output"), attended(config, q[t], k, v, t));
      return x.map((value, i) => value + output[i]);
    });
    xs = xs.map((x) => {
      const input = norm(name("ffn_norm"), x);
      const up = times(name("ffn_up"), input);
      const hidden = times(name("ffn_gate"), input).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]);
      const down = times(name("ffn_down"), hidden);
      return x.map((value, i) => value + down[i]);
    });
  }
  const head = matrices.has("output.weight") ? "output.weight" : "token_embd.weight";
  return xs.map((x) => times(head, norm("output_norm.weight", x)));
}

function rotated(
  { headLength, ropeLength, ropeBase }: ModelConfig,
  x: readonly number[],
  position: number,
): number[] {
  const y = [...x];
  for (let start = 0; start < x.length; start += headLength)
    for (let i = 0; i < ropeLength; i += 2) {
      const angle = position * ropeBase ** (-i / ropeLength);
      y[start + i] = x[start + i] * Math.cos(angle) - x[start + i + 1] * Math.sin(angle);
      y[start + i + 1] = x[start + i] * Math.sin(angle) + x[start + i + 1] * Math.cos(angle);
    }
  return y;
}

function attended(config: ModelConfig, q: number[], k: number[][], v: number[][], t: number): number[] {
  const { headCount, kvHeadCount, headLength, slidingWindow } = config;
  const first = slidingWindow > 0 ? Math.max(0, t - slidingWindow + 1) : 0;
  return Array.from({ length: headCount }, (_, head) => {
    const keyHead = Math.floor((head * kvHeadCount) / headCount);
    const scores: number[] = [];
    for (let p = first; p <= t; p++) {
      let score = 0;
      for (let c = 0; c < headLength; c++) score += q[head * headLength + c] * k[p][keyHead * headLength + c];
      scores.push(Math.exp(score / Math.sqrt(headLength)));
    }
    const total = scores.reduce((sum, score) => sum + score, 0);
    return Array.from({ length: headLength }, (_, c) =>
      scores.reduce((sum, score, i) => sum + (score / total) * v[first + i][keyHead * headLength + c], 0),
    );
  }).flat();
}
