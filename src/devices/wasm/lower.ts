/**
 * What each op becomes on this device: one or a few calls of kernels, as words (kernels/codes.ts). Shapes are checked
 * and addresses resolved here, once; a replayed plan does neither.
 *
 * Flow: Device.run or record (op, tensors) → lower (calls) → plan in shared memory → kernels/index.ts.
 */
import { dropoutThreshold } from "../../ops/dropout.ts";
import { type OpArgs, type OpName, ops } from "../../ops/index.ts";
import type { MatmulArgs } from "../../ops/matmul.ts";
import type { PackedAttentionArgs } from "../../ops/packed-attention.ts";
import type { CacheArgs } from "../../ops/store.ts";
import { CriaError } from "../../shared/errors.ts";
import { isPacked, type TensorFormat } from "../../tensor/format.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { groupLength, hasOffsets } from "../../tensor/unpack.ts";
import type { Kernels } from "./binary.ts";
import * as codes from "./kernels/codes.ts";

/** A call of a kernel: its number and arguments, at most CALL_BYTES. */
export type Call = Int32Array;

/** What lowering needs to know of the device. */
export interface Place {
  readonly kernels: Kernels;
  readonly threadCount: number;
  /** How integer products are summed (codes.ts). */
  readonly mode: number;
  /** Where row 0 of a tensor in plain order starts. */
  addressOf(tensor: Tensor): number;
  /** Where a tensor's interleaved rows start, or undefined if its rows are in plain order. */
  interleavedAddressOf(tensor: Tensor): number | undefined;
  /** Bytes that any call may use while it runs. */
  scratch(byteLength: number): number;
}

/** Bytes of panels that a thread unpacks at a time: half of a usual second cache. */
const PANEL_BYTES = 256 << 10;
/** Sums of a tile of tokens before a thread's panels (multiply-panels.ts). */
const PANEL_SUMS_BYTES = 512;
/** A block's record of activations, as int8 and as int16 (quantize-activations.ts). */
const RECORD_BYTES = 48;
const WIDE_RECORD_BYTES = 80;
/** A block of a panel: bytes, or 16-bit integers and scales (multiply-wide.ts). */
const BLOCK_QUANTS = 256;
const WIDE_BLOCK_BYTES = 544;
/** Scratch of a thread for embed, convert and x·W (dequantize.ts, dequantize-panels.ts). */
const DEQUANTIZE_BYTES = 8 * 32 * 4 + 8 * (256 + 128);
/** Scratch of a thread for interleave: two forms of a block. */
const INTERLEAVE_BYTES = 512;
/** Positions of a span of attention (attention.ts). */
const ATTENTION_SPAN = 256;
/** Queries of a key/value head that a thread takes at a time. */
const ATTENTION_BLOCK = 128;
/** Rows times key/value heads up to which the spans of a query are shared among threads. */
const ATTENTION_SHARES = 16;
/** A tile of floats (float-tile.ts), and the tokens from which on they are packed (multiply-floats.ts). */
const TILE_BYTES = 192;
const PACKED_TOKENS = 12;
/** Rows whose part of a gain's gradient is summed alone (rms-norm-grad.ts). */
const GAIN_ROWS = 32;
/** 1 in every byte, which kernels make their masks of. */
const ONES = 0x01010101;
/** Mask and factor that make f32 of f16 (kernels/numbers.ts). */
const HALF_CONSTANTS: readonly number[] = [0x8fffe000, 0x77800000];

const FORMATS: Readonly<Record<Exclude<TensorFormat, "I32">, number>> = {
  F32: codes.F32,
  F16: codes.F16,
  BF16: codes.BF16,
  Q4_0: codes.Q4_0,
  Q4_1: codes.Q4_1,
  Q5_0: codes.Q5_0,
  Q5_1: codes.Q5_1,
  Q8_0: codes.Q8_0,
  Q2_K: codes.Q2_K,
  Q3_K: codes.Q3_K,
  Q4_K: codes.Q4_K,
  Q5_K: codes.Q5_K,
  Q6_K: codes.Q6_K,
  IQ4_NL: codes.IQ4_NL,
};

type Lowerings = { readonly [Name in OpName]: (place: Place, args: OpArgs[Name]) => Call[] };

/** Checks a call and turns it into words. */
export function lower<Name extends OpName>(place: Place, name: Name, args: OpArgs[Name]): Call[] {
  ops[name].check(args);
  return lowerings[name](place, args);
}

/** The number of a weights' format in plans. */
function formatCode(format: TensorFormat): number {
  if (format === "I32") throw new CriaError("bad-input", "expected weights, but the tensor is I32");
  return FORMATS[format];
}

/** Puts plain rows at `source` into the interleaved order at `target`. */
export function interleaveCall(
  source: number,
  target: number,
  rows: {
    readonly rows: number;
    readonly columns: number;
    readonly stride: number;
    readonly format: TensorFormat;
  },
  scratch: number,
): Call {
  return call(
    ...[codes.INTERLEAVE, source, rows.stride, target, formatCode(rows.format), rows.rows, rows.columns],
    ...[scratch, INTERLEAVE_BYTES],
  );
}

/** Bytes of scratch space that `interleaveCall` needs. */
export function interleaveScratch(threadCount: number): number {
  return threadCount * INTERLEAVE_BYTES;
}

/** Bytes of a matrix in the interleaved order. */
export function interleavedBytes(
  kernels: Kernels,
  format: TensorFormat,
  rows: number,
  columns: number,
): number {
  return Math.ceil(rows / 8) * kernels.groupBytes(formatCode(format), columns);
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
    const dequantize = scratch.perThread(DEQUANTIZE_BYTES);
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
        ...[place.addressOf(count), ONES, dequantize(), DEQUANTIZE_BYTES],
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
  matmul(place, args) {
    const plain = args.w.format === "F32" && place.interleavedAddressOf(args.w) === undefined;
    if (plain || args.transposed) return multiplyPanels(place, args, plain);
    return isPacked(args.w.format) ? multiplyPacked(place, args) : multiplyFloats(place, args);
  },
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
    const spans = Math.ceil((where.pages.columns * where.pageLength) / ATTENTION_SPAN);
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
    const dequantize = scratch.perThread(DEQUANTIZE_BYTES);
    return scratch.resolve(() => [
      ...calls(),
      call(
        ...[codes.CONVERT, address(), formatCode(x.format), x.rows, x.columns, ...rowsOf(place, y)],
        ...[ONES, dequantize(), DEQUANTIZE_BYTES],
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
    const parts = scratch.take(dw ? 4 * x.columns * Math.ceil(x.rows / GAIN_ROWS) : 0);
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
  matmulGrad(place, { x, dy, dw, scale = 1, count }) {
    const scratch = new Scratch(place);
    const panels = scratch.take(panelBytes(x.rows, dw.columns));
    const perThread = scratch.perThread(PIECE_BYTES);
    const target = rowsOf(place, dw);
    return scratch.resolve(() => [
      call(
        ...[codes.PACK_FLOAT_PANELS, ...rowsOf(place, x), codes.COPY_PANELS, 0, place.addressOf(count)],
        ...[dw.columns, panels()],
      ),
      call(
        ...[codes.MULTIPLY_FLOAT_PANELS, ...rowsOf(place, dy), codes.COPY_PANELS, panels(), dw.columns],
        ...[...target, ...target, place.addressOf(count), dw.rows, floatBits(scale), 1],
        ...[perThread(), PIECE_BYTES],
      ),
    ]);
  },
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

/** Scratch of a thread for products of floats: a tile, and panels of a (multiply-float-panels.ts). */
const PIECE_BYTES = TILE_BYTES + 192 * 384 * 4;
/** Bytes of panels of b that exist at once, about: larger matrices are multiplied in parts. */
const PART_BYTES = 16 << 20;

/** Bytes of panels of 8 columns. */
function panelBytes(depth: number, columns: number): number {
  return depth * Math.ceil(columns / 8) * 32;
}

/**
 * Products with weights that training changes (F32 in plain order), and x·W with any. In parts of outputs, or for x·W
 * of inputs, which are added one after the other.
 */
function multiplyPanels(place: Place, args: MatmulArgs, plain: boolean): Call[] {
  const { w, transposed } = args;
  const scratch = new Scratch(place);
  const source = plain ? { calls: () => [], address: () => place.addressOf(w) } : weights(place, scratch, w);
  const perRow = transposed ? panelBytes(1, w.columns) : 4 * w.columns;
  const partRows = Math.min(w.rows, 8 * Math.max(1, Math.floor(PART_BYTES / perRow / 8)));
  const panels = scratch.take(8 * perRow * Math.ceil(partRows / 8));
  const perThread = scratch.perThread(Math.max(PIECE_BYTES, DEQUANTIZE_BYTES));
  return scratch.resolve(() => {
    const calls = source.calls();
    for (let first = 0; first < w.rows; first += partRows) {
      const rows = Math.min(partRows, w.rows - first);
      const at = plain ? first * w.stride : interleavedBytes(place.kernels, w.format, first, w.columns);
      const part = { first, rows, address: source.address() + at, panels: panels(), perThread: perThread() };
      calls.push(...multiplyPart(place, args, plain, part));
    }
    return calls;
  });
}

/** Some rows of w, and addresses. */
interface Part {
  readonly first: number;
  readonly rows: number;
  readonly address: number;
  readonly panels: number;
  readonly perThread: number;
}

function multiplyPart(place: Place, args: MatmulArgs, plain: boolean, part: Part): Call[] {
  const { x, w, y, residual, scale = 1, transposed, count } = args;
  const { first, rows, address, panels, perThread } = part;
  const way = transposed ? (plain ? codes.COPY_PANELS : codes.DEQUANTIZE_PANELS) : codes.GATHER_PANELS;
  const [depth, columns] = transposed ? [rows, w.columns] : [w.columns, rows];
  // Rows of w are columns of y, or for x·W of x; then the parts but the first add to what is there.
  const [xFirst, yFirst] = transposed ? [first, 0] : [0, first];
  const base = transposed && first > 0 ? y : residual;
  const bytes = Math.max(PIECE_BYTES, DEQUANTIZE_BYTES);
  return [
    call(
      ...[codes.PACK_FLOAT_PANELS, address, w.stride, way, depth, 0, columns, panels],
      ...[formatCode(w.format), ONES, perThread, bytes, ...HALF_CONSTANTS],
    ),
    call(
      ...[codes.MULTIPLY_FLOAT_PANELS, place.addressOf(x) + 4 * xFirst, x.stride, codes.GATHER_PANELS],
      ...[panels, columns, place.addressOf(y) + 4 * yFirst, y.stride],
      ...(base ? [place.addressOf(base) + 4 * yFirst, base.stride] : [0, 0]),
      ...[place.addressOf(count), depth, floatBits(scale), 0, perThread, bytes],
    ),
  ];
}

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

function multiplyPacked(place: Place, args: MatmulArgs): Call[] {
  const { x, w, y, count } = args;
  const blocks = w.columns / 32;
  // Quants of 8 bits that the processor does not multiply exactly as bytes.
  const wide = (w.format === "Q8_0" || w.format === "IQ4_NL") && place.mode !== codes.SUM_QUADS_OF_BYTES;
  const recordStride = blocks * (wide ? WIDE_RECORD_BYTES : RECORD_BYTES);
  const shortGroups = groupLength(w.format) === 16;
  const scaleBytes = 32 * (shortGroups ? 2 : 1) * (hasOffsets(w.format) ? 2 : 1);
  const panelBytes = blocks * (wide ? WIDE_BLOCK_BYTES : BLOCK_QUANTS + scaleBytes);
  const threadBytes = PANEL_SUMS_BYTES + panelBytes * Math.max(1, Math.floor(PANEL_BYTES / panelBytes));
  const scratch = new Scratch(place);
  const { calls, address } = weights(place, scratch, w);
  const records = scratch.take(x.rows * recordStride);
  const panels = scratch.perThread(threadBytes);
  const format = formatCode(w.format);
  return scratch.resolve(() => [
    ...calls(),
    call(
      ...[codes.QUANTIZE_ACTIVATIONS, ...rowsOf(place, x), records(), recordStride, place.addressOf(count)],
      ...[w.columns, place.kernels.biasOf(format), Number(shortGroups), Number(wide)],
    ),
    call(
      ...[codes.MULTIPLY_PACKED, records(), recordStride, address(), format, w.rows, w.columns],
      ...[...rowsOf(place, y), ...outputWords(place, args), place.mode, ONES, panels(), threadBytes],
      ...HALF_CONSTANTS,
    ),
  ]);
}

function multiplyFloats(place: Place, args: MatmulArgs): Call[] {
  const { x, w, y, count } = args;
  const packs = x.rows >= PACKED_TOKENS;
  const scratch = new Scratch(place);
  const { calls, address } = weights(place, scratch, w);
  const tokens = scratch.take(packs ? 24 * Math.ceil(x.rows / 6) * w.columns : 0);
  const threadBytes = packs ? TILE_BYTES + 32 * w.columns : 0;
  const perThread = scratch.perThread(threadBytes);
  return scratch.resolve(() => [
    ...calls(),
    ...(packs
      ? [call(codes.PACK_TOKENS, ...rowsOf(place, x), tokens(), place.addressOf(count), w.columns)]
      : []),
    call(
      ...[codes.MULTIPLY_FLOATS, ...rowsOf(place, x), address(), formatCode(w.format), w.rows, w.columns],
      ...[...rowsOf(place, y), ...outputWords(place, args), ...HALF_CONSTANTS],
      ...(packs ? [tokens(), perThread(), threadBytes] : [0, 0, 0]),
    ),
  ]);
}

/**
 * A matrix of weights in the interleaved order. Weights that were not loaded with `loadWeight`, as those that training
 * changes, are put in order before each use: a pass over them that many rows of x outweigh.
 */
function weights(
  place: Place,
  scratch: Scratch,
  w: Tensor,
): { readonly calls: () => Call[]; readonly address: () => number } {
  const interleaved = place.interleavedAddressOf(w);
  if (interleaved !== undefined) return { calls: () => [], address: () => interleaved };
  const target = scratch.take(interleavedBytes(place.kernels, w.format, w.rows, w.columns));
  const steps = scratch.take(interleaveScratch(place.threadCount));
  return { calls: () => [interleaveCall(place.addressOf(w), target(), w, steps())], address: target };
}

/** residual, its stride, count and α: words 9 to 12 of every product. */
function outputWords(place: Place, { residual, scale = 1, count }: MatmulArgs): number[] {
  const words = residual ? rowsOf(place, residual) : [0, 0];
  return [...words, place.addressOf(count), floatBits(scale)];
}

function cacheWords(place: Place, { positions, sequences, pages, pageLength }: CacheArgs): number[] {
  return [place.addressOf(positions), place.addressOf(sequences), ...rowsOf(place, pages), pageLength];
}

function rowsOf(place: Place, tensor: Tensor): [address: number, stride: number] {
  return [place.addressOf(tensor), tensor.stride];
}

/** Parts of the scratch space: all sizes are known before the first address is. */
class Scratch {
  readonly #place: Place;
  #byteLength = 0;
  #start = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  take(byteLength: number): () => number {
    const offset = this.#byteLength;
    this.#byteLength += Math.ceil(byteLength / 64) * 64;
    return () => this.#start + offset;
  }

  perThread(byteLength: number): () => number {
    return this.take(byteLength * this.#place.threadCount);
  }

  resolve(body: () => Call[]): Call[] {
    this.#start = this.#place.scratch(this.#byteLength);
    return body();
  }
}

function call(...words: number[]): Call {
  return Int32Array.from(words);
}

const floats = new Float32Array(1);
const bits = new Int32Array(floats.buffer);

function floatBits(value: number): number {
  floats[0] = value;
  return bits[0];
}
