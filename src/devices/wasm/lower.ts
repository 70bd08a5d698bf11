/**
 * What each op becomes on this device: one or a few calls of kernels, as words (kernels/codes.ts). Shapes are checked
 * and addresses resolved here, once; a replayed plan does neither.
 *
 * Flow: Device.run or record (op, tensors) → lower (calls) → plan in shared memory → kernels/index.ts.
 */
import { dropoutThreshold } from "../../ops/dropout.ts";
import { type OpArgs, type OpName, ops } from "../../ops/index.ts";
import type { PackedAttentionArgs } from "../../ops/packed-attention.ts";
import type { CacheArgs } from "../../ops/store.ts";
import { CriaError } from "../../shared/errors.ts";
import * as codes from "./kernels/codes.ts";
import { lowerMatmul, lowerMatmulGrad, weights } from "./lower-products.ts";
import {
  type Call,
  call,
  floatBits,
  formatCode,
  HALF_CONSTANTS,
  ONES,
  type Place,
  rowsOf,
  Scratch,
} from "./words.ts";

/** Queries of a key/value head that a thread takes at a time. */
const ATTENTION_BLOCK = 128;
/** Rows times key/value heads up to which the spans of a query are shared among threads. */
const ATTENTION_SHARES = 16;

type Lowerings = { readonly [Name in OpName]: (place: Place, args: OpArgs[Name]) => Call[] };

/** Checks a call and turns it into words. */
export function lower<Name extends OpName>(place: Place, name: Name, args: OpArgs[Name]): Call[] {
  ops[name].check(args);
  return lowerings[name](place, args);
}

/** Bytes of a plan: a record with the count, then one for each call. */
export function planBytes(callCount: number): number {
  return (1 + callCount) * codes.CALL_BYTES;
}

/** Writes a plan where the kernels can walk it. */
export function writePlan(bytes: Uint8Array, address: number, calls: readonly Call[]): void {
  const words = new Int32Array(bytes.buffer, address, planBytes(calls.length) / 4);
  words[0] = calls.length;
  calls.forEach((call, index) => {
    words.set(call, ((1 + index) * codes.CALL_BYTES) / 4);
  });
}

const lowerings: Lowerings = {
  embed(place, { table, tokens, y, count }) {
    if (table.format === "F32" && place.interleavedAddressOf(table) === undefined)
      return lowerings.copy(place, { x: table, rows: tokens, y, count });
    const scratch = new Scratch(place);
    const { calls, address } = weights(place, scratch, table);
    const dequantize = scratch.perThread(codes.DEQUANTIZE_BYTES);
    const { format, columns } = table;
    return scratch.resolve(() => [
      ...calls(),
      call(
        ...[
          codes.EMBED,
          address(),
          formatCode(format),
          columns,
          place.addressOf(tokens),
          ...rowsOf(place, y),
        ],
        ...[place.addressOf(count), ONES, dequantize(), codes.DEQUANTIZE_BYTES],
      ),
    ]);
  },
  rmsNorm(place, { x, w, y, epsilon, count }) {
    return [
      call(
        ...[codes.RMS_NORM, ...rowsOf(place, x), place.addressOf(w), ...rowsOf(place, y)],
        ...[place.addressOf(count), x.columns, floatBits(epsilon)],
      ),
    ];
  },
  matmul: lowerMatmul,
  rope(place, { x, positions, frequencies, headLength, inverse, count }) {
    return [
      call(
        ...[codes.ROPE, ...rowsOf(place, x), place.addressOf(positions), place.addressOf(frequencies)],
        ...[place.addressOf(count), x.columns, frequencies.columns, headLength, Number(inverse ?? false)],
      ),
    ];
  },
  store(place, { x, cache, count, ...where }) {
    return [
      call(
        ...[codes.STORE, ...rowsOf(place, x), ...rowsOf(place, cache), ...cacheWords(place, where)],
        ...[place.addressOf(count), x.columns / cache.columns, cache.columns, formatCode(cache.format)],
      ),
    ];
  },
  attention(place, { q, keys, values, y, kvHeads, scale, window, count, ...where }) {
    const headLength = keys.columns;
    if (headLength % 4 !== 0)
      throw new CriaError(
        "unsupported",
        `heads of ${headLength} channels; the CPU device needs a multiple of 4`,
      );
    const heads = q.columns / headLength;
    const group = heads / kvHeads;
    // Scores of a piece and room to scale them, tiles of up to 8 queries, then two numbers a query (attention.ts, attention-tile.ts).
    const queries = Math.max(ATTENTION_BLOCK, group);
    const bytes =
      4096 + (Math.floor(queries / 8) + 2) * (160 + 64 * headLength) + 64 * Math.ceil(queries / 8);
    const sharedRows = Math.min(q.rows, Math.ceil(ATTENTION_SHARES / kvHeads));
    const spans = Math.ceil((where.pages.columns * where.pageLength) / codes.SPAN);
    const scratch = new Scratch(place);
    const tiles = scratch.perThread(bytes);
    const spanValues = scratch.take(sharedRows * heads * spans * (16 + 4 * headLength));
    return scratch.resolve(() => {
      const words = [
        ...[...rowsOf(place, q), ...rowsOf(place, keys), ...rowsOf(place, values), ...rowsOf(place, y)],
        ...[...cacheWords(place, where), place.addressOf(count), kvHeads, group, headLength],
        ...[floatBits(scale), window, tiles(), bytes, ...HALF_CONSTANTS],
        ...[sharedRows, spanValues(), spans, ATTENTION_BLOCK],
        ...[formatCode(keys.format), formatCode(values.format)],
      ];
      return [call(codes.ATTENTION, ...words), call(codes.ATTENTION_JOIN, ...words)];
    });
  },
  swiglu(place, { gate, up, y, count }) {
    return [
      call(
        ...[codes.SWIGLU, ...rowsOf(place, gate), ...rowsOf(place, up), ...rowsOf(place, y)],
        ...[place.addressOf(count), y.columns],
      ),
    ];
  },
  crossEntropy(place, { logits, targets, y, count }) {
    return [
      call(
        ...[codes.CROSS_ENTROPY, ...rowsOf(place, logits), place.addressOf(targets), ...rowsOf(place, y)],
        ...[place.addressOf(count), logits.columns],
      ),
    ];
  },
  sample(place, { logits, seeds, ids, temperature, topK, count }) {
    const scratch = new Scratch(place);
    const candidates = scratch.take(4 * topK * logits.rows);
    return scratch.resolve(() => [
      call(
        ...[codes.SAMPLE, ...rowsOf(place, logits), place.addressOf(seeds), ...rowsOf(place, ids)],
        ...[place.addressOf(count), logits.columns, floatBits(temperature), topK, candidates()],
      ),
    ]);
  },
  adamW(place, { w, gradient, m, v, settings, beta1, beta2, epsilon, decay }) {
    return [
      call(
        ...[codes.ADAM_W, ...rowsOf(place, w), ...rowsOf(place, gradient), ...rowsOf(place, m)],
        ...[...rowsOf(place, v), place.addressOf(settings), w.rows, w.columns],
        ...[floatBits(beta1), floatBits(beta2), floatBits(epsilon), floatBits(decay)],
      ),
    ];
  },
  sumSquares(place, { x, y }) {
    const scratch = new Scratch(place);
    const sums = scratch.take(8 * x.rows);
    return scratch.resolve(() => [
      call(codes.SUM_SQUARES, ...rowsOf(place, x), sums(), x.rows, x.columns),
      call(codes.ADD_SUMS, sums(), place.addressOf(y), x.rows),
    ]);
  },
  copy(place, { x, rows, y, count }) {
    return [
      call(
        ...[codes.COPY, ...rowsOf(place, x), place.addressOf(rows), ...rowsOf(place, y)],
        ...[place.addressOf(count), y.columns],
      ),
    ];
  },
  fill(place, { y, value }) {
    return [call(codes.FILL, ...rowsOf(place, y), y.rows, y.columns, floatBits(value))];
  },
  convert(place, { x, y }) {
    if (y.format === "F16")
      return [call(codes.NARROW, ...rowsOf(place, x), ...rowsOf(place, y), x.rows, x.columns)];
    const scratch = new Scratch(place);
    const { calls, address } = weights(place, scratch, x);
    const dequantize = scratch.perThread(codes.DEQUANTIZE_BYTES);
    return scratch.resolve(() => [
      ...calls(),
      call(
        ...[codes.CONVERT, address(), formatCode(x.format), x.rows, x.columns, ...rowsOf(place, y)],
        ...[ONES, dequantize(), codes.DEQUANTIZE_BYTES],
      ),
    ]);
  },
  packedAttention(place, args) {
    const { length, headLength } = args;
    const padded = paddedLength(length);
    // Starts, keys, values, then the queries, results and scores of eight rows (packed-attention.ts).
    const floats = 16 + padded * (2 * headLength + 5) + 8 * (2 * headLength + 5 + padded);
    return packedAttention(place, codes.PACKED_ATTENTION, args, floats, []);
  },
  packedAttentionGrad(place, args) {
    const { length, headLength, dy, dq, dk, dv } = args;
    const padded = paddedLength(length);
    // Four plain and six wide copies, scores and slopes, slopes of a chunk, three numbers (packed-attention-grad.ts).
    const floats = padded * (4 * headLength + 6 * (headLength + 5) + 2 * 8 + 64 + 3);
    const gradients = [dy, dq, dk, dv].flatMap((tensor) => rowsOf(place, tensor));
    return packedAttention(place, codes.PACKED_ATTENTION_GRAD, args, floats, gradients);
  },
  dropout(place, { x, y, residual, seed, salt, rate, count }) {
    const added = residual ? rowsOf(place, residual) : [0, 0];
    return [
      call(
        ...[codes.DROPOUT, ...rowsOf(place, x), ...rowsOf(place, y), ...added, place.addressOf(seed), salt],
        ...[dropoutThreshold(rate), floatBits(1 / (1 - rate)), place.addressOf(count), x.columns],
      ),
    ];
  },
  embedGrad(place, { dy, tokens, dTable, count }) {
    const where = [...rowsOf(place, dy), place.addressOf(tokens), ...rowsOf(place, dTable)];
    return [call(codes.EMBED_GRAD, ...where, place.addressOf(count), dy.columns)];
  },
  rmsNormGrad(place, { x, w, dy, dx, dw, epsilon, count }) {
    const scratch = new Scratch(place);
    const parts = scratch.take(dw ? 4 * x.columns * Math.ceil(x.rows / codes.GAIN_ROWS) : 0);
    return scratch.resolve(() => [
      call(
        ...[codes.RMS_NORM_GRAD, ...rowsOf(place, x), place.addressOf(w), ...rowsOf(place, dy)],
        ...[...rowsOf(place, dx), place.addressOf(count), x.columns, floatBits(epsilon), dw ? parts() : 0],
      ),
      ...(dw
        ? [call(codes.RMS_NORM_GAIN_GRAD, parts(), x.columns, place.addressOf(count), place.addressOf(dw))]
        : []),
    ]);
  },
  matmulGrad: lowerMatmulGrad,
  swigluGrad(place, { gate, up, dy, dGate, dUp, count }) {
    const where = [gate, up, dy, dGate, dUp].flatMap((tensor) => rowsOf(place, tensor));
    return [call(codes.SWIGLU_GRAD, ...where, place.addressOf(count), gate.columns)];
  },
  crossEntropyGrad(place, { logits, targets, seeds, dLogits, count }) {
    return [
      call(
        ...[codes.CROSS_ENTROPY_GRAD, ...rowsOf(place, logits), place.addressOf(targets)],
        ...[...rowsOf(place, seeds), ...rowsOf(place, dLogits), place.addressOf(count), logits.columns],
      ),
    ];
  },
};

/** Rows of a window, with room for whole tiles and vectors. */
function paddedLength(length: number): number {
  return Math.ceil(length / 24) * 24;
}

function packedAttention(
  place: Place,
  code: number,
  args: PackedAttentionArgs,
  scratchFloats: number,
  gradients: readonly number[],
): Call[] {
  const { q, k, v, y, logSumExp, starts, length, headLength, scale, count } = args;
  if (headLength % 4 !== 0)
    throw new CriaError(
      "unsupported",
      `heads of ${headLength} channels; the CPU device needs a multiple of 4`,
    );
  const heads = logSumExp.columns;
  const kvHeads = k.columns / headLength;
  const scratch = new Scratch(place);
  const bytes = Math.ceil(scratchFloats / 16) * 64;
  const perThread = scratch.perThread(bytes);
  return scratch.resolve(() => [
    call(
      ...[code, ...[q, k, v, y, logSumExp].flatMap((tensor) => rowsOf(place, tensor))],
      ...[place.addressOf(starts), length, headLength, floatBits(scale), place.addressOf(count)],
      ...[code === codes.PACKED_ATTENTION ? heads : kvHeads, heads / kvHeads],
      ...[perThread(), bytes, paddedLength(length), ...gradients],
    ),
  ]);
}

function cacheWords(place: Place, { positions, sequences, pages, pageLength }: CacheArgs): number[] {
  return [place.addressOf(positions), place.addressOf(sequences), ...rowsOf(place, pages), pageLength];
}
