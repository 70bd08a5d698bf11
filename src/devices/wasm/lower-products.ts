/**
 * Products as calls of kernels: with packed weights, with floats, and with what training changes.
 *
 * Flow: lower.ts → words.ts (calls) → plan in shared memory → kernels/multiply-*.ts.
 */
import type { OpArgs } from "../../ops/index.ts";
import type { MatmulArgs } from "../../ops/matmul.ts";
import { isPacked, type TensorFormat } from "../../tensor/format.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { groupLength, hasOffsets } from "../../tensor/unpack.ts";
import * as codes from "./kernels/codes.ts";
import type { Kernels } from "./module.ts";
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

/** Bytes of panels that a thread unpacks at a time: half of a usual second cache. */
const PANEL_BYTES = 256 << 10;

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
    ...[scratch, 2 * codes.BLOCK_QUANTS],
  );
}

/** Bytes of scratch space that `interleaveCall` needs. */
export function interleaveScratch(threadCount: number): number {
  return threadCount * 2 * codes.BLOCK_QUANTS;
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

/** Any product. */
export function lowerMatmul(place: Place, args: MatmulArgs): Call[] {
  const plain = args.w.format === "F32" && place.interleavedAddressOf(args.w) === undefined;
  if (plain || args.transposed) return multiplyPanels(place, args, plain);
  return isPacked(args.w.format) ? multiplyPacked(place, args) : multiplyFloats(place, args);
}

/** The gradient of a matrix of weights: rows of x times those of dy, summed over the rows. */
export function lowerMatmulGrad(place: Place, { x, dy, dw, scale = 1, count }: OpArgs["matmulGrad"]): Call[] {
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
}

/** Scratch of a thread for products of floats: a tile, and panels of a (multiply-float-panels.ts). */
const PIECE_BYTES = codes.TILE_BYTES + 192 * 384 * 4;
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
  const perThread = scratch.perThread(Math.max(PIECE_BYTES, codes.DEQUANTIZE_BYTES));
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
  const bytes = Math.max(PIECE_BYTES, codes.DEQUANTIZE_BYTES);
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

function multiplyPacked(place: Place, args: MatmulArgs): Call[] {
  const { x, w, y, count } = args;
  const blocks = w.columns / 32;
  // Quants of 8 bits that the processor does not multiply exactly as bytes.
  const wide = (w.format === "Q8_0" || w.format === "IQ4_NL") && place.mode !== codes.SUM_QUADS_OF_BYTES;
  const recordStride = blocks * (wide ? codes.WIDE_RECORD_BYTES : codes.RECORD_BYTES);
  const shortGroups = groupLength(w.format) === 16;
  const scaleBytes = 32 * (shortGroups ? 2 : 1) * (hasOffsets(w.format) ? 2 : 1);
  const panelBytes = blocks * (wide ? codes.WIDE_BLOCK_BYTES : codes.BLOCK_QUANTS + scaleBytes);
  const threadBytes = codes.SUMS_BYTES + panelBytes * Math.max(1, Math.floor(PANEL_BYTES / panelBytes));
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
  const packs = x.rows >= codes.PACKED_TOKENS;
  const scratch = new Scratch(place);
  const { calls, address } = weights(place, scratch, w);
  const tokens = scratch.take(packs ? 24 * Math.ceil(x.rows / 6) * w.columns : 0);
  const threadBytes = packs ? codes.TILE_BYTES + 32 * w.columns : 0;
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
export function weights(
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
