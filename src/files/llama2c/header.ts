/**
 * The header of a llama2.c file, in its three versions, all little-endian:
 *
 *   0   7 × i32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; vocab_size < 0 = untied head
 *   1   u32 "ak42", i32 version, the same 7 × i32, u8 tied, zeros up to byte 256
 *   2   as 1, with i32 group size after the flag (at byte 37, unaligned)
 *
 * Flow: ByteSource → readHeader → layout.ts (where each tensor lies).
 * Source: karpathy/llama2.c, export.py, run.c and runq.c.
 */
import { CriaError } from "../../shared/errors.ts";
import type { ByteSource } from "../byte-source.ts";

export interface Llama2cHeader {
  readonly version: 0 | 1 | 2;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** Whether the output head is the embedding. */
  readonly tied: boolean;
  /** Values that share a scale; version 2 only. */
  readonly groupSize: number | undefined;
  /** Where the first tensor begins. */
  readonly dataOffset: number;
}

/** "ak42" read as a little-endian number: the file has the letters backwards. */
const MAGIC = 0x616b3432;
const LEGACY_BYTES = 28;
const HEADER_BYTES = 256;
const FLAGS_OFFSET = 36;
/** No model has as many; bounds the tensor table before it is made. */
const LARGEST_LAYER_COUNT = 10_000;

/**
 * Reads and checks the header.
 *
 * @throws {CriaError} "bad-file" for values no model can have, "unsupported" for an unknown version.
 */
export async function readHeader(source: ByteSource): Promise<Llama2cHeader> {
  if (source.byteLength < LEGACY_BYTES)
    throw new CriaError(
      "bad-file",
      `${source.name}: a llama2.c header takes ${LEGACY_BYTES} bytes, but the file has ${source.byteLength}`,
    );
  const start = viewOf(await source.read(0, LEGACY_BYTES));
  const header = start.getUint32(0, true) === MAGIC ? await readNewHeader(source) : parseLegacy(start);
  check(header, source.name);
  return header;
}

function parseLegacy(view: DataView): Llama2cHeader {
  const { vocabularySize, ...sizes } = parseSizes(view, 0);
  return {
    version: 0,
    ...sizes,
    vocabularySize: Math.abs(vocabularySize),
    tied: vocabularySize > 0,
    groupSize: undefined,
    dataOffset: LEGACY_BYTES,
  };
}

async function readNewHeader(source: ByteSource): Promise<Llama2cHeader> {
  const view = viewOf(await source.read(0, HEADER_BYTES));
  const version = view.getInt32(4, true);
  if (version !== 1 && version !== 2)
    throw new CriaError(
      "unsupported",
      `${source.name}: llama2.c file of version ${version} (byte 4); Cria reads versions 0, 1 and 2`,
    );
  const flag = view.getUint8(FLAGS_OFFSET);
  if (flag > 1)
    throw new CriaError(
      "bad-file",
      `${source.name}: byte ${FLAGS_OFFSET} (tied head) is ${flag}; expected 0 or 1`,
    );
  const groupSize = version === 2 ? view.getInt32(FLAGS_OFFSET + 1, true) : undefined;
  return { version, ...parseSizes(view, 8), tied: flag === 1, groupSize, dataOffset: HEADER_BYTES };
}

function parseSizes(view: DataView, byteOffset: number) {
  const number = (index: number): number => view.getInt32(byteOffset + 4 * index, true);
  return {
    dim: number(0),
    hiddenDim: number(1),
    layerCount: number(2),
    headCount: number(3),
    kvHeadCount: number(4),
    vocabularySize: number(5),
    contextLength: number(6),
  };
}

function check(header: Llama2cHeader, name: string): void {
  const sizes: [string, number][] = [
    ["dim", header.dim],
    ["hidden_dim", header.hiddenDim],
    ["n_layers", header.layerCount],
    ["n_heads", header.headCount],
    ["n_kv_heads", header.kvHeadCount],
    ["vocab_size", header.vocabularySize],
    ["seq_len", header.contextLength],
  ];
  if (header.groupSize !== undefined) sizes.push(["group size", header.groupSize]);
  for (const [what, value] of sizes)
    if (value < 1)
      throw new CriaError(
        "bad-file",
        `${name}: ${what} is ${value} in the llama2.c header; expected at least 1`,
      );
  if (header.layerCount > LARGEST_LAYER_COUNT)
    throw new CriaError(
      "bad-file",
      `${name}: n_layers is ${header.layerCount} in the llama2.c header; expected at most ${LARGEST_LAYER_COUNT}`,
    );
  const { dim, headCount, kvHeadCount } = header;
  // Rope turns pairs of channels, so a head has an even number of them.
  if (dim % (2 * headCount) !== 0 || headCount % kvHeadCount !== 0)
    throw new CriaError(
      "bad-file",
      `${name}: dim ${dim}, n_heads ${headCount} and n_kv_heads ${kvHeadCount} in the llama2.c header give no even heads`,
    );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
