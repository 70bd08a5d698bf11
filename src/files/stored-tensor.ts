/**
 * A tensor as it lies in a file: read row by row, so that loading, converting and merging shards need memory for a few
 * rows only. Every reader in this folder returns these.
 */
import { CriaError } from "../shared/errors.ts";
import { rowBytes, type TensorFormat } from "../tensor/format.ts";

/** A matrix (or vector: one row) in a file. */
export interface StoredTensor {
  readonly name: string;
  readonly format: TensorFormat;
  /** Output channels or vocabulary entries; 1 for a vector. */
  readonly rows: number;
  readonly columns: number;
  /**
   * The sizes as the file gives them, outermost first, where rows and columns do not tell them: a row may be a vector
   * or a matrix. Writers keep them; absent, one row is a vector and more are a matrix.
   */
  readonly shape?: readonly number[];
  /** Packed rows [rowFirst, rowFirst + rowCount), each `rowBytes(format, columns)` bytes; `into` may be used for them. */
  readRows(rowFirst: number, rowCount: number, into?: Uint8Array): Promise<Uint8Array>;
}

/**
 * The sizes that a writer gives a tensor, outermost first.
 *
 * @throws {CriaError} code "bad-input" when `shape` is not that of as many rows and columns.
 */
export function shapeOf(tensor: StoredTensor): readonly number[] {
  const { name, rows, columns, shape } = tensor;
  if (!shape) return rows === 1 ? [columns] : [rows, columns];
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== rows * columns || (shape.at(-1) ?? 1) !== columns)
    throw new CriaError(
      "bad-input",
      `${name}: the shape [${shape.join(", ")}] is not that of ${rows} rows of ${columns}`,
    );
  return shape;
}

/** Bytes of the whole tensor. */
export function tensorBytes(tensor: Pick<StoredTensor, "format" | "rows" | "columns">): number {
  return tensor.rows * rowBytes(tensor.format, tensor.columns);
}

/** Values that a metadata entry can have: GGUF's types. Integers of 64 bits are numbers when safe, else bigint. */
export type MetadataValue = string | number | bigint | boolean | readonly MetadataValue[] | MetadataArray;
/** Large numeric arrays (token scores, types) come as typed arrays. */
export type MetadataArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array;
export type Metadata = ReadonlyMap<string, MetadataValue>;

/** A tensor in a format that Cria cannot compute with; it can only be listed. */
export interface UnsupportedTensor {
  readonly name: string;
  /** The format's own name. */
  readonly format: string;
  readonly rows: number;
  readonly columns: number;
  readonly byteLength: number;
}

/** An opened model file of any kind. Names, row order and metadata are the file's own; model/weights.ts maps them. */
export interface TensorFile {
  readonly kind: "gguf" | "safetensors" | "meta" | "llama2c";
  /** Path or URL of the first file. */
  readonly name: string;
  /** GGUF's key-value pairs, or safetensors' `__metadata__`; empty for the others. */
  readonly metadata: Metadata;
  /**
   * Settings that lie beside or before the tensors: Hugging Face's config.json, Meta's params.json; for llama2.c its
   * header under Meta's names (dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, max_seq_len, tied).
   */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors in formats that Cria cannot read. */
  readonly unsupported?: readonly UnsupportedTensor[];
  /** Every file that tensors are read from, in order of the parts; a URL counts as a path. */
  readonly paths: readonly string[];
  /** Bytes of all files together. */
  readonly byteLength: number;
  close(): Promise<void>;
}
