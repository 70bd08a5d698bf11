/**
 * The forward pass of training: the same ops as model/llama.ts, on a tape, over the rows of several texts at once.
 *
 *   x = embedding[token]
 *   in each layer:  x = x + output(attention(rope(q), rope(k), v))      x = x + down(silu(gate) · up)
 *   log-probability of each row's target from head(rmsNorm(x))
 *
 * An adapter (LoRA) adds scale · B·(A·dropout(x)) to the outputs of a matrix.
 *
 * Flow: Batch (tokens, starts) → forwardTraining → log-probabilities → losses.
 * Source: Touvron et al. 2023, arXiv 2307.09288; Hu et al. 2021, arXiv 2106.09685 (LoRA).
 */
import type { ModelConfig } from "../model/config.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Dropout, Parameter, Tape, Variable } from "./tape.ts";

/** The matrices of a block that can have an adapter, under GGUF's names. */
export const adapterTargets = [
  "attn_q",
  "attn_k",
  "attn_v",
  "attn_output",
  "ffn_gate",
  "ffn_up",
  "ffn_down",
] as const;
export type AdapterTarget = (typeof adapterTargets)[number];

/** B·A beside a matrix of weights. */
export interface Adapter {
  /** [rank, inputs] F32 */
  readonly a: Parameter;
  /** [outputs, rank] F32 */
  readonly b: Parameter;
}

/** One block. A list holds matrices whose outputs lie side by side. */
export interface TrainingLayer {
  readonly attentionNorm: Parameter;
  readonly qkv: readonly Parameter[];
  readonly attentionOutput: Parameter;
  readonly feedForwardNorm: Parameter;
  readonly gateUp: readonly Parameter[];
  readonly down: Parameter;
  readonly adapters?: { readonly [Target in AdapterTarget]?: Adapter };
}

export interface TrainingModel {
  readonly embedding: Parameter;
  readonly layers: readonly TrainingLayer[];
  readonly outputNorm: Parameter;
  /** The embedding itself when tied. */
  readonly head: Parameter;
  /** [1, ropeLength / 2] F32, radians per position */
  readonly frequencies: Tensor;
  /** alpha / rank */
  readonly adapterScale?: number;
  readonly adapterDropout?: Dropout;
}

/** What changes from batch to batch; rows = windows · length. */
export interface TrainingInputs {
  /** [1, rows] I32 each */
  readonly tokens: Tensor;
  readonly positions: Tensor;
  readonly starts: Tensor;
  readonly targets: Tensor;
  /** [rows, 1] F32: derivative of the loss by each row's log-probability */
  readonly seeds: Tensor;
  /** [rows, 1] F32: the result */
  readonly logProbabilities: Tensor;
}

export interface ForwardOptions {
  /** Rows of a window. */
  readonly length: number;
  /** Compute each layer again for its gradient instead of keeping what is inside it. */
  readonly checkpoint: boolean;
  /** Rows whose logits exist at once. */
  readonly headRows: number;
}

/** Runs (or records) the forward pass; `tape.backward()` then gives the gradients. */
export function forwardTraining(
  tape: Tape,
  config: ModelConfig,
  model: TrainingModel,
  inputs: TrainingInputs,
  options: ForwardOptions,
): void {
  const pass: Pass = { tape, config, model, inputs, options };
  let x = tape.embed(model.embedding, inputs.tokens);
  model.layers.forEach((layer, index) => {
    // The body of a checkpoint runs again later, when x is another layer's.
    const input = x;
    x = options.checkpoint
      ? tape.checkpoint(config.width, (into) => block(pass, layer, index, input, into))
      : tape.scope(() => block(pass, layer, index, input));
  });
  const normed = tape.rmsNorm(x, model.outputNorm, config.normEpsilon);
  const { targets, seeds, logProbabilities: y } = inputs;
  tape.logProbabilities(normed, model.head, { targets, seeds, y }, options.headRows);
}

interface Pass {
  readonly tape: Tape;
  readonly config: ModelConfig;
  readonly model: TrainingModel;
  readonly inputs: TrainingInputs;
  readonly options: ForwardOptions;
}

function block(pass: Pass, layer: TrainingLayer, index: number, x: Variable, into?: Variable): Variable {
  return feedForward(pass, layer, index, attend(pass, layer, index, x), into);
}

/** x + output(attention(norm(x))) */
function attend(pass: Pass, layer: TrainingLayer, index: number, x: Variable): Variable {
  const { tape, config, model, inputs, options } = pass;
  const { headCount, kvHeadCount, headLength } = config;
  const [queryLength, keyLength] = [headCount * headLength, kvHeadCount * headLength];
  const normed = tape.rmsNorm(x, layer.attentionNorm, config.normEpsilon);
  const qkv = tape.matmul(normed, layer.qkv);
  adapt(pass, layer, index, "attn_q", normed, qkv, 0);
  adapt(pass, layer, index, "attn_k", normed, qkv, queryLength);
  adapt(pass, layer, index, "attn_v", normed, qkv, queryLength + keyLength);
  tape.rope(qkv, queryLength + keyLength, inputs.positions, model.frequencies, headLength);
  const shape = { headCount, kvHeadCount, headLength, starts: inputs.starts, length: options.length };
  const mixed = tape.attention(qkv, shape);
  const sum = tape.matmul(mixed, [layer.attentionOutput], { residual: x });
  adapt(pass, layer, index, "attn_output", mixed, sum, 0);
  return sum;
}

/** x + down(silu(gate(norm(x))) · up(norm(x))) */
function feedForward(
  pass: Pass,
  layer: TrainingLayer,
  index: number,
  x: Variable,
  into: Variable | undefined,
): Variable {
  const { tape, config } = pass;
  const normed = tape.rmsNorm(x, layer.feedForwardNorm, config.normEpsilon);
  const gateUp = tape.matmul(normed, layer.gateUp);
  adapt(pass, layer, index, "ffn_gate", normed, gateUp, 0);
  adapt(pass, layer, index, "ffn_up", normed, gateUp, config.feedForwardLength);
  const activated = tape.swiglu(gateUp);
  const sum = tape.matmul(activated, [layer.down], { residual: x, ...(into ? { into } : {}) });
  adapt(pass, layer, index, "ffn_down", activated, sum, 0);
  return sum;
}

function adapt(
  { tape, model }: Pass,
  layer: TrainingLayer,
  index: number,
  target: AdapterTarget,
  x: Variable,
  y: Variable,
  columnFirst: number,
): void {
  const adapter = layer.adapters?.[target];
  if (!adapter) return;
  const dropout = model.adapterDropout;
  const salt = index * adapterTargets.length + adapterTargets.indexOf(target);
  const input = dropout ? tape.dropout(x, dropout, salt) : x;
  const low = tape.matmul(input, [adapter.a]);
  tape.addProduct(y, columnFirst, low, adapter.b, model.adapterScale ?? 1);
}
