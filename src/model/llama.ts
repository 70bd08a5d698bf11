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
import type { Bank, Device } from "../tensor/device.ts";
import type { StepTensors } from "../tensor/step.ts";
import { columnView, rowView, type Tensor } from "../tensor/tensor.ts";
import type { Cache, LayerCache } from "./cache.ts";
import type { ModelConfig } from "./config.ts";
import type { LayerWeights, LlamaWeights } from "./load.ts";
import type { LoadedAdapter } from "./load-adapter.ts";
import { PAGE_LENGTH } from "./page-table.ts";

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

/** What a step works on in one bank of the device. */
export interface Workspace {
  readonly step: StepTensors;
  readonly buffers: Buffers;
  /** Room for what the first matrix of an adapter gives, [T, largest rank]; only with adapters. */
  readonly low?: Tensor;
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

/** The buffers of a step in one memory. */
export function allocateBuffers(bank: Bank, config: ModelConfig, tokens: number, outputs: number): Buffers {
  const arena = new Arena(bank, bufferBytes(config, tokens, outputs));
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
  /** By bank. */
  readonly workspaces: readonly Workspace[];
  readonly adapters: readonly LoadedAdapter[];
}

/** A block of the model, and what it works on. */
interface Block extends Workspace {
  readonly device: Device;
  readonly config: ModelConfig;
  readonly layer: LayerWeights;
  readonly cache: LayerCache;
  /** [1, ropeLength / 2] F32, radians per position */
  readonly frequencies: Tensor;
  readonly adapters: readonly LoadedAdapter[];
  readonly index: number;
}

/** Runs (or records) one step. The logits of the rows that want them are then in the buffers of the head's bank. */
export function forward(pass: Pass): void {
  const { device, config, weights, cache, workspaces, adapters } = pass;
  const { placement } = weights;
  let bank = 0;
  const goTo = (next: number): Workspace => {
    const [from, to] = [workspaces[bank], workspaces[next]];
    if (next !== bank) device.run("convert", { x: from.buffers.x, y: to.buffers.x });
    bank = next;
    return to;
  };
  const { step, buffers } = workspaces[bank];
  device.run("embed", { table: weights.embedding, tokens: step.tokens, y: buffers.x, count: step.rowCount });
  weights.layers.forEach((layer, index) => {
    const place = placement.layers[index];
    const frequencies = weights.frequencies[place];
    const block = { device, config, layer, frequencies, adapters, index, cache: cache.layers[index] };
    attend({ ...block, ...goTo(place) });
    feedForward({ ...block, ...goTo(place) });
  });
  const last = goTo(placement.head);
  const { x, outputs, logits } = last.buffers;
  const count = last.step.outputCount;
  device.run("copy", { x, rows: last.step.outputRows, y: outputs, count });
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
function attend(block: Block): void {
  const { device, config, layer, cache, frequencies, step, index } = block;
  const { x, normed, qkv, mixed } = block.buffers;
  const { headLength, kvHeadCount, normEpsilon } = config;
  const { positions, sequences, pages, rowCount: count } = step;
  const keyLength = kvHeadCount * headLength;
  const q = columnView(qkv, 0, mixed.columns);
  const k = columnView(qkv, mixed.columns, keyLength);
  const v = columnView(qkv, mixed.columns + keyLength, keyLength);
  const where = { positions, sequences, pages, pageLength: PAGE_LENGTH };

  device.run("rmsNorm", { x, w: layer.attentionNorm, y: normed, epsilon: normEpsilon, count });
  project(device, normed, layer.qkv, qkv, count);
  adapt(block, `blk.${index}.attn_q`, normed, q);
  adapt(block, `blk.${index}.attn_k`, normed, k);
  adapt(block, `blk.${index}.attn_v`, normed, v);
  for (const part of [q, k]) device.run("rope", { x: part, positions, frequencies, headLength, count });
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
  adapt(block, `blk.${index}.attn_output`, mixed, x);
}

/** x = x + down(silu(gate(norm(x))) · up(norm(x))) */
function feedForward(block: Block): void {
  const { device, config, layer, step, index } = block;
  const { x, normed, gateUp, activated } = block.buffers;
  const count = step.rowCount;
  const gate = columnView(gateUp, 0, activated.columns);
  const up = columnView(gateUp, activated.columns, activated.columns);

  device.run("rmsNorm", { x, w: layer.feedForwardNorm, y: normed, epsilon: config.normEpsilon, count });
  project(device, normed, layer.gateUp, gateUp, count);
  adapt(block, `blk.${index}.ffn_gate`, normed, gate);
  adapt(block, `blk.${index}.ffn_up`, normed, up);
  device.run("swiglu", { gate, up, y: activated, count });
  device.run("matmul", { x: activated, w: layer.down, y: x, residual: x, count });
  adapt(block, `blk.${index}.ffn_down`, activated, x);
}

/** y = y + scale · (x·Aᵀ)·Bᵀ for every adapter of the weight. */
function adapt({ device, step, adapters, low }: Block, weight: string, x: Tensor, y: Tensor): void {
  const count = step.rowCount;
  for (const { matrices, scale } of adapters) {
    const pair = matrices.get(`${weight}.weight`);
    if (!pair || !low) continue;
    const between = columnView(low, 0, pair.a.rows);
    device.run("matmul", { x, w: pair.a, y: between, count });
    device.run("matmul", { x: between, w: pair.b, y, residual: y, scale, count });
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
