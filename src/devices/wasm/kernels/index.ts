/**
 * The WASM module: walks a plan, each thread its share of every call, with a barrier after each.
 *
 * A plan is a count of calls and then the calls (codes.ts). Nothing here allocates: buffers and scratch space are laid
 * out by lower.ts when a plan is recorded.
 */
import { adamW } from "./adam-w";
import { attention, attentionJoin } from "./attention";
import { waitForAll } from "./barrier";
import {
  ADAM_W,
  ADD_SUMS,
  ATTENTION,
  ATTENTION_JOIN,
  CALL_BYTES,
  CONVERT,
  COPY,
  CROSS_ENTROPY,
  CROSS_ENTROPY_GRAD,
  DROPOUT,
  EMBED,
  EMBED_GRAD,
  FILL,
  INTERLEAVE,
  MULTIPLY_FLOAT_PANELS,
  MULTIPLY_FLOATS,
  MULTIPLY_PACKED,
  NARROW,
  PACK_FLOAT_PANELS,
  PACK_TOKENS,
  PACKED_ATTENTION,
  PACKED_ATTENTION_GRAD,
  QUANTIZE_ACTIVATIONS,
  RMS_NORM,
  RMS_NORM_GAIN_GRAD,
  RMS_NORM_GRAD,
  ROPE,
  SAMPLE,
  STORE,
  SUM_SQUARES,
  SWIGLU,
  SWIGLU_GRAD,
} from "./codes";
import { convert, narrow } from "./convert";
import { copyRows } from "./copy";
import { crossEntropy } from "./cross-entropy";
import { crossEntropyGrad } from "./cross-entropy-grad";
import { dropout } from "./dropout";
import { embed } from "./embed";
import { embedGrad } from "./embed-grad";
import { fill } from "./fill";
import { interleave } from "./interleave";
import { multiplyFloatPanels, packFloatPanels } from "./multiply-float-panels";
import { multiplyFloats, packTokens } from "./multiply-floats";
import { multiplyPacked } from "./multiply-packed";
import { packedAttention } from "./packed-attention";
import { packedAttentionGrad } from "./packed-attention-grad";
import { quantizeActivations } from "./quantize-activations";
import { rmsNorm } from "./rms-norm";
import { rmsNormGainGrad, rmsNormGrad } from "./rms-norm-grad";
import { rope } from "./rope";
import { sample } from "./sample";
import { storeRows } from "./store";
import { addSums, sumSquaresOfRows } from "./sum-squares";
import { swiglu } from "./swiglu";
import { swigluGrad } from "./swiglu-grad";

export { follow, look, release } from "./barrier";
export { biasOf, groupBytes } from "./formats";
export { probePairs, probeQuads } from "./probe";

/** Runs a thread's share of a plan. All threads of `control` must run it. */
export function walk(control: usize, plan: usize, thread: i32, threadCount: i32): void {
  const callCount = load<i32>(plan);
  let call = plan + CALL_BYTES;
  for (let index = 0; index < callCount; index++) {
    runCall(call, control, thread, threadCount);
    waitForAll(control, threadCount);
    call += CALL_BYTES;
  }
}

function runCall(call: usize, control: usize, thread: i32, threadCount: i32): void {
  switch (load<i32>(call)) {
    case EMBED:
      return embed(call, thread, threadCount);
    case RMS_NORM:
      return rmsNorm(call, thread, threadCount);
    case QUANTIZE_ACTIVATIONS:
      return quantizeActivations(call, thread, threadCount);
    case MULTIPLY_PACKED:
      return multiplyPacked(call, control, thread, threadCount);
    case MULTIPLY_FLOATS:
      return multiplyFloats(call, control, thread, threadCount);
    case PACK_TOKENS:
      return packTokens(call, thread, threadCount);
    case PACK_FLOAT_PANELS:
      return packFloatPanels(call, thread, threadCount);
    case MULTIPLY_FLOAT_PANELS:
      return multiplyFloatPanels(call, control, thread, threadCount);
    case ROPE:
      return rope(call, thread, threadCount);
    case STORE:
      return storeRows(call, thread, threadCount);
    case ATTENTION:
      return attention(call, control, thread);
    case ATTENTION_JOIN:
      return attentionJoin(call, thread, threadCount);
    case SWIGLU:
      return swiglu(call, thread, threadCount);
    case CROSS_ENTROPY:
      return crossEntropy(call, thread, threadCount);
    case SAMPLE:
      return sample(call, thread, threadCount);
    case ADAM_W:
      return adamW(call, thread, threadCount);
    case SUM_SQUARES:
      return sumSquaresOfRows(call, thread, threadCount);
    case ADD_SUMS:
      return addSums(call, thread);
    case COPY:
      return copyRows(call, thread, threadCount);
    case FILL:
      return fill(call, thread, threadCount);
    case CONVERT:
      return convert(call, thread, threadCount);
    case NARROW:
      return narrow(call, thread, threadCount);
    case INTERLEAVE:
      return interleave(call, thread, threadCount);
    case PACKED_ATTENTION:
      return packedAttention(call, control, thread, threadCount);
    case PACKED_ATTENTION_GRAD:
      return packedAttentionGrad(call, control, thread, threadCount);
    case DROPOUT:
      return dropout(call, thread, threadCount);
    case EMBED_GRAD:
      return embedGrad(call, thread, threadCount);
    case RMS_NORM_GRAD:
      return rmsNormGrad(call, thread, threadCount);
    case RMS_NORM_GAIN_GRAD:
      return rmsNormGainGrad(call, thread, threadCount);
    case SWIGLU_GRAD:
      return swigluGrad(call, thread, threadCount);
    case CROSS_ENTROPY_GRAD:
      return crossEntropyGrad(call, thread, threadCount);
  }
}
