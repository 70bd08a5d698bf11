/**
 * The closed list of ops. A device has one kernel for each; a missing one is a compile error.
 *
 * To add an op: one file here, one kernel per device under the same name, one case in tests/conformance/cases.ts.
 */
import { type AdamWArgs, adamW } from "./adam-w.ts";
import { type AttentionArgs, attention } from "./attention.ts";
import { type ConvertArgs, convert } from "./convert.ts";
import { type CopyArgs, copy } from "./copy.ts";
import { type CrossEntropyArgs, crossEntropy } from "./cross-entropy.ts";
import { type CrossEntropyGradArgs, crossEntropyGrad } from "./cross-entropy-grad.ts";
import { type DropoutArgs, dropout } from "./dropout.ts";
import { type EmbedArgs, embed } from "./embed.ts";
import { type EmbedGradArgs, embedGrad } from "./embed-grad.ts";
import { type FillArgs, fill } from "./fill.ts";
import { type MatmulArgs, matmul } from "./matmul.ts";
import { type MatmulGradArgs, matmulGrad } from "./matmul-grad.ts";
import type { Op } from "./op.ts";
import { type PackedAttentionArgs, packedAttention } from "./packed-attention.ts";
import { type PackedAttentionGradArgs, packedAttentionGrad } from "./packed-attention-grad.ts";
import { type RmsNormArgs, rmsNorm } from "./rms-norm.ts";
import { type RmsNormGradArgs, rmsNormGrad } from "./rms-norm-grad.ts";
import { type RopeArgs, rope } from "./rope.ts";
import { type SampleArgs, sample } from "./sample.ts";
import { type StoreArgs, store } from "./store.ts";
import { type SumSquaresArgs, sumSquares } from "./sum-squares.ts";
import { type SwigluArgs, swiglu } from "./swiglu.ts";
import { type SwigluGradArgs, swigluGrad } from "./swiglu-grad.ts";

/** Arguments of every op, by name. */
export interface OpArgs {
  readonly embed: EmbedArgs;
  readonly rmsNorm: RmsNormArgs;
  readonly matmul: MatmulArgs;
  readonly rope: RopeArgs;
  readonly store: StoreArgs;
  readonly attention: AttentionArgs;
  readonly swiglu: SwigluArgs;
  readonly crossEntropy: CrossEntropyArgs;
  readonly sample: SampleArgs;
  readonly adamW: AdamWArgs;
  readonly sumSquares: SumSquaresArgs;
  readonly copy: CopyArgs;
  readonly fill: FillArgs;
  readonly convert: ConvertArgs;
  readonly packedAttention: PackedAttentionArgs;
  readonly dropout: DropoutArgs;
  readonly embedGrad: EmbedGradArgs;
  readonly rmsNormGrad: RmsNormGradArgs;
  readonly matmulGrad: MatmulGradArgs;
  readonly packedAttentionGrad: PackedAttentionGradArgs;
  readonly swigluGrad: SwigluGradArgs;
  readonly crossEntropyGrad: CrossEntropyGradArgs;
}

export type OpName = keyof OpArgs;

export const ops: { readonly [Name in OpName]: Op<OpArgs[Name]> } = {
  embed,
  rmsNorm,
  matmul,
  rope,
  store,
  attention,
  swiglu,
  crossEntropy,
  sample,
  adamW,
  sumSquares,
  copy,
  fill,
  convert,
  packedAttention,
  dropout,
  embedGrad,
  rmsNormGrad,
  matmulGrad,
  packedAttentionGrad,
  swigluGrad,
  crossEntropyGrad,
};
