/**
 * Where each tensor of a llama2.c file lies. Nothing in the file says so: the order is fixed, one kind of tensor of
 * every layer after another, and the sizes follow from the header.
 *
 *   version 0      tok_embeddings, attention norms, wq, wk, wv, wo, feed-forward norms, w1, w2, w3, norm,
 *                  two rope tables [seq_len, head / 2] that readers ignore, output if untied; all F32
 *   version 1, 2   attention norms, feed-forward norms, norm, tok_embeddings, wq, wk, wv, wo, w1, w2, w3,
 *                  output if untied; in version 2 the matrices are int8 values followed by F32 scales
 *
 * Flow: header.ts → tensorLayout → read.ts (StoredTensor).
 * Source: karpathy/llama2.c, export.py, run.c and runq.c.
 */
import { CriaError } from "../../shared/errors.ts";
import type { Llama2cHeader } from "./header.ts";

/** One tensor's place. */
export interface Llama2cTensor {
  /** Meta's name; undefined for bytes that readers ignore. */
  readonly name: string | undefined;
  readonly rows: number;
  readonly columns: number;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Values that share a scale, or undefined for F32. */
  readonly groupSize: number | undefined;
}

/** A kind of tensor: one in the file, or one per layer when `perLayer`. */
interface Kind {
  readonly name: string | undefined;
  readonly rows: number;
  readonly columns: number;
  readonly perLayer: boolean;
}

/**
 * All tensors in file order.
 *
 * @throws {CriaError} code "bad-file" unless they fill a file of `fileLength` bytes exactly; checked before the table
 * is made, so an absurd header costs nothing.
 */
export function tensorLayout(header: Llama2cHeader, fileLength: number, fileName: string): Llama2cTensor[] {
  const kinds = kindsInOrder(header);
  checkGroups(kinds, header, fileName);
  let expected = header.dataOffset;
  for (const kind of kinds) expected += kindBytes(kind, header) * countOf(kind, header);
  if (expected !== fileLength)
    throw new CriaError(
      "bad-file",
      `${fileName}: the llama2.c header (version ${header.version}) asks for ${expected} bytes, but the file has ${fileLength}`,
    );
  const tensors: Llama2cTensor[] = [];
  let byteOffset = header.dataOffset;
  for (const kind of kinds) {
    const byteLength = kindBytes(kind, header);
    for (let layer = 0; layer < countOf(kind, header); layer++) {
      const { rows, columns } = kind;
      const name = kind.perLayer ? `layers.${layer}.${kind.name}` : kind.name;
      const groupSize = isMatrix(kind) ? header.groupSize : undefined;
      tensors.push({ name, rows, columns, byteOffset, byteLength, groupSize });
      byteOffset += byteLength;
    }
  }
  return tensors;
}

function kindsInOrder(header: Llama2cHeader): Kind[] {
  const { dim, hiddenDim, vocabularySize } = header;
  const headLength = dim / header.headCount;
  const kvDim = headLength * header.kvHeadCount;
  const once = (name: string | undefined, rows: number, columns: number): Kind => ({
    name,
    rows,
    columns,
    perLayer: false,
  });
  const layered = (name: string, rows: number, columns: number): Kind => ({
    name,
    rows,
    columns,
    perLayer: true,
  });

  const embedding = once("tok_embeddings.weight", vocabularySize, dim);
  const attentionNorms = layered("attention_norm.weight", 1, dim);
  const attention = [
    layered("attention.wq.weight", dim, dim),
    layered("attention.wk.weight", kvDim, dim),
    layered("attention.wv.weight", kvDim, dim),
    layered("attention.wo.weight", dim, dim),
  ];
  const feedForwardNorms = layered("ffn_norm.weight", 1, dim);
  const feedForward = [
    layered("feed_forward.w1.weight", hiddenDim, dim),
    layered("feed_forward.w2.weight", dim, hiddenDim),
    layered("feed_forward.w3.weight", hiddenDim, dim),
  ];
  const norm = once("norm.weight", 1, dim);
  const output = header.tied ? [] : [once("output.weight", vocabularySize, dim)];

  if (header.version > 0)
    return [attentionNorms, feedForwardNorms, norm, embedding, ...attention, ...feedForward, ...output];
  const ropeTable = once(undefined, header.contextLength, headLength / 2);
  return [
    embedding,
    attentionNorms,
    ...attention,
    feedForwardNorms,
    ...feedForward,
    norm,
    ropeTable,
    ropeTable,
    ...output,
  ];
}

function checkGroups(kinds: readonly Kind[], header: Llama2cHeader, fileName: string): void {
  const { groupSize } = header;
  if (groupSize === undefined) return;
  for (const kind of kinds)
    if (isMatrix(kind) && (kind.rows * kind.columns) % groupSize !== 0)
      throw new CriaError(
        "bad-file",
        `${fileName}: ${kind.name} has ${kind.rows} × ${kind.columns} values, which groups of ${groupSize} do not fill`,
      );
}

function countOf(kind: Kind, header: Llama2cHeader): number {
  return kind.perLayer ? header.layerCount : 1;
}

/** Bytes of one tensor. Counts beyond 2⁵³ lose digits, but then they exceed any file anyway. */
function kindBytes(kind: Kind, header: Llama2cHeader): number {
  const values = kind.rows * kind.columns;
  if (header.groupSize === undefined || !isMatrix(kind)) return values * 4;
  return values + (values / header.groupSize) * 4;
}

/** Version 2 keeps the norms, which are the only vectors, as F32. */
function isMatrix(kind: Kind): boolean {
  return kind.name === undefined || !kind.name.endsWith("norm.weight");
}
