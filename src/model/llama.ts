/**
 * Llama: tokens in, logits out.
 *
 *   x = embedding[token]
 *   in each layer:  x = x + output(attention(rope(q), rope(k), v))   where q, k, v come from rmsNorm(x)
 *                   x = x + down(silu(gate) · up)                    where gate, up come from rmsNorm(x)
 *   logits = head(rmsNorm(x))                                        for the tokens that want them
 *
 * `forward` calls ops on fixed buffers, so it can be recorded once and replayed for every step.
 *
 * Flow: Step (tokens, positions) → forward → logits → generate/.
 * Source: Touvron et al. 2023, arXiv 2307.09288, and Meta's reference code.
 */
import { Arena } from "../tensor/arena.ts";
import type { Device } from "../tensor/device.ts";
import type { Step } from "../tensor/step.ts";
import { columnView, rowView, type Tensor } from "../tensor/tensor.ts";
import { type Cache, type LayerCache, PAGE_LENGTH } from "./cache.ts";
import type { ModelConfig } from "./config.ts";
import type { LayerWeights, LlamaWeights } from "./load.ts";
import type { LoadedAdapter } from "./load-adapter.ts";

/** Every buffer of a step, allocated once. T tokens at most, O of which want logits. */
export interface Buffers {
  /** The residual stream, [T, width]. */
  readonly x: Tensor;
  /** [T, width] */
  readonly normed: Tensor;
  /** [T, (heads + 2 · key/value heads) · headLength] */
  readonly qkv: Tensor;
  /** [T, heads · headLength] */
  readonly mixed: Tensor;
  /** [T, 2 · feedForward] */
  readonly gateUp: Tensor;
  /** [T, feedForward] */
  readonly activated: Tensor;
  /** The residual stream of the tokens that want logits, [O, width]. */
  readonly outputs: Tensor;
  /** [O, vocabulary] */
  readonly logits: Tensor;
}

/** Adapters that answer beside the weights, and room for what their first matrix gives. */
export interface PassAdapters {
  readonly list: readonly LoadedAdapter[];
  /** [T, largest rank] */
  readonly low: Tensor;
}

type BufferShapes = { readonly [Name in keyof Buffers]: readonly [rows: number, columns: number] };

function bufferShapes(config: ModelConfig, tokens: number, outputs: number): BufferShapes {
  const queryLength = config.headCount * config.headLength;
  const keyLength = config.kvHeadCount * config.headLength;
  return {
    x: [tokens, config.width],
    normed: [tokens, config.width],
    qkv: [tokens, queryLength + 2 * keyLength],
    mixed: [tokens, queryLength],
    gateUp: [tokens, 2 * config.feedForwardLength],
    activated: [tokens, config.feedForwardLength],
    outputs: [outputs, config.width],
    logits: [outputs, config.vocabularySize],
  };
}

/** Bytes that the buffers of a step take. */
export function bufferBytes(config: ModelConfig, tokens: number, outputs: number): number {
  const shapes = Object.values(bufferShapes(config, tokens, outputs));
  return shapes.reduce((sum, [rows, columns]) => sum + Arena.bytesOf(rows, columns), 0);
}

export function allocateBuffers(arena: Arena, config: ModelConfig, tokens: number, outputs: number): Buffers {
  const shapes = Object.entries(bufferShapes(config, tokens, outputs));
  return Object.fromEntries(
    shapes.map(([name, [rows, columns]]) => [name, arena.allocate(rows, columns)]),
  ) as unknown as Buffers;
}

/** The first rows of every buffer: those of a smaller step. */
export function firstRows(buffers: Buffers, tokens: number, outputs: number): Buffers {
  const rowsOf = (name: string) => (name === "outputs" || name === "logits" ? outputs : tokens);
  const entries = Object.entries(buffers) as [string, Tensor][];
  return Object.fromEntries(
    entries.map(([name, tensor]) => [name, rowView(tensor, 0, rowsOf(name))]),
  ) as unknown as Buffers;
}

/** Where a forward pass runs and what it works on. */
export interface Pass {
  readonly device: Device;
  readonly config: ModelConfig;
  readonly weights: LlamaWeights;
  readonly cache: Cache;
  readonly step: Step;
  readonly buffers: Buffers;
  readonly adapters?: PassAdapters;
}

/** Runs (or records) one step. The logits of the rows that want them are then in `pass.buffers.logits`. */
export function forward(pass: Pass): void {
  const { device, config, weights, cache, step, buffers } = pass;
  const { x, outputs, logits } = buffers;
  device.run("embed", { table: weights.embedding, tokens: step.tokens, y: x, count: step.rowCount });
  weights.layers.forEach((layer, index) => {
    attend(pass, layer, cache.layers[index], index);
    feedForward(pass, layer, index);
  });
  const count = step.outputCount;
  device.run("copy", { x, rows: step.outputRows, y: outputs, count });
  device.run("rmsNorm", {
    x: outputs,
    w: weights.outputNorm,
    y: outputs,
    epsilon: config.normEpsilon,
    count,
  });
  device.run("matmul", { x: outputs, w: weights.head, y: logits, count });
}

/** x = x + output(attention(norm(x))) */
function attend(pass: Pass, layer: LayerWeights, cache: LayerCache, index: number): void {
  const { device, config, weights, step, buffers } = pass;
  const { x, normed, qkv, mixed } = buffers;
  const { headLength, kvHeadCount, normEpsilon } = config;
  const { positions, sequences, pages, rowCount: count } = step;
  const keyLength = kvHeadCount * headLength;
  const q = columnView(qkv, 0, mixed.columns);
  const k = columnView(qkv, mixed.columns, keyLength);
  const v = columnView(qkv, mixed.columns + keyLength, keyLength);
  const where = { positions, sequences, pages, pageLength: PAGE_LENGTH };

  device.run("rmsNorm", { x, w: layer.attentionNorm, y: normed, epsilon: normEpsilon, count });
  project(device, normed, layer.qkv, qkv, count);
  adapt(pass, `blk.${index}.attn_q`, normed, q);
  adapt(pass, `blk.${index}.attn_k`, normed, k);
  adapt(pass, `blk.${index}.attn_v`, normed, v);
  for (const part of [q, k])
    device.run("rope", { x: part, positions, frequencies: weights.frequencies, headLength, count });
  device.run("store", { x: k, cache: cache.keys, ...where, count });
  device.run("store", { x: v, cache: cache.values, ...where, count });
  device.run("attention", {
    q,
    keys: cache.keys,
    values: cache.values,
    y: mixed,
    kvHeads: kvHeadCount,
    scale: 1 / Math.sqrt(headLength),
    window: config.slidingWindow,
    ...where,
    count,
  });
  device.run("matmul", { x: mixed, w: layer.attentionOutput, y: x, residual: x, count });
  adapt(pass, `blk.${index}.attn_output`, mixed, x);
}

/** x = x + down(silu(gate(norm(x))) · up(norm(x))) */
function feedForward(pass: Pass, layer: LayerWeights, index: number): void {
  const { device, config, step, buffers } = pass;
  const { x, normed, gateUp, activated } = buffers;
  const count = step.rowCount;
  const gate = columnView(gateUp, 0, activated.columns);
  const up = columnView(gateUp, activated.columns, activated.columns);

  device.run("rmsNorm", { x, w: layer.feedForwardNorm, y: normed, epsilon: config.normEpsilon, count });
  project(device, normed, layer.gateUp, gateUp, count);
  adapt(pass, `blk.${index}.ffn_gate`, normed, gate);
  adapt(pass, `blk.${index}.ffn_up`, normed, up);
  device.run("swiglu", { gate, up, y: activated, count });
  device.run("matmul", { x: activated, w: layer.down, y: x, residual: x, count });
  adapt(pass, `blk.${index}.ffn_down`, activated, x);
}

/** y = y + scale · (x·Aᵀ)·Bᵀ for every adapter of the weight. */
function adapt({ device, step, adapters }: Pass, weight: string, x: Tensor, y: Tensor): void {
  const count = step.rowCount;
  for (const { matrices, scale } of adapters?.list ?? []) {
    const pair = matrices.get(`${weight}.weight`);
    if (!pair || !adapters) continue;
    const low = columnView(adapters.low, 0, pair.a.rows);
    device.run("matmul", { x, w: pair.a, y: low, count });
    device.run("matmul", { x: low, w: pair.b, y, residual: y, scale, count });
  }
}

/** Multiplies x with matrices whose outputs lie side by side in y. */
function project(device: Device, x: Tensor, matrices: readonly Tensor[], y: Tensor, count: Tensor): void {
  let column = 0;
  for (const w of matrices) {
    device.run("matmul", { x, w, y: columnView(y, column, w.rows), count });
    column += w.rows;
  }
}
