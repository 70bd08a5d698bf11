/**
 * Writes safetensors files a few rows at a time: the header's keys in the order given, padded with spaces to 8 bytes.
 *
 * Flow: model/convert.ts (tensors) → writeSafetensors → ByteSink.
 */
import { CriaError } from "../../shared/errors.ts";
import { isPacked, rowBytes } from "../../tensor/format.ts";
import type { ByteSink } from "../byte-source.ts";
import { rowPieces } from "../row-pieces.ts";
import { type StoredTensor, shapeOf, tensorBytes } from "../stored-tensor.ts";

export interface SafetensorsContents {
  /** Left out when empty. */
  readonly metadata: ReadonlyMap<string, string>;
  /** In this order. A tensor without a shape of its own is a vector when its name is in `vectors`, else a matrix. */
  readonly tensors: readonly StoredTensor[];
  readonly vectors: ReadonlySet<string>;
  /** Writes packed rows as U8, which no other program understands, instead of refusing them. */
  readonly packedAsBytes?: boolean;
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

const DTYPES: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);

/** Writes a whole file; `sink` is left open. @throws {CriaError} "bad-input" for a packed format or a name given twice, "aborted" */
export async function writeSafetensors(sink: ByteSink, contents: SafetensorsContents): Promise<void> {
  const header = new TextEncoder().encode(headerJson(contents));
  const padded = Math.ceil(header.length / 8) * 8;
  const start = new Uint8Array(8 + padded).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true);
  start.set(header, 8);
  await sink.write(start);
  const total = contents.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let written = 0;
  for (const tensor of contents.tensors) {
    for await (const piece of rowPieces(tensor, contents.signal)) {
      await sink.write(piece);
      written += piece.length;
      contents.onProgress?.(written, total);
    }
  }
}

/** As text piece by piece: in an object, names that look like integers would move to the front. */
function headerJson({ metadata, tensors, vectors, packedAsBytes }: SafetensorsContents): string {
  const members = new Map<string, string>();
  const texts = Array.from(metadata, ([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
  if (texts.length > 0) members.set("__metadata__", `{${texts.join()}}`);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, format, rows, columns } = tensor;
    const asBytes = packedAsBytes === true && isPacked(format);
    if (!asBytes && !DTYPES.has(format))
      throw new CriaError(
        "bad-input",
        `safetensors cannot hold ${format} ("${name}"); expected F32, F16 or BF16`,
      );
    if (members.has(name) || name === "__metadata__")
      throw new CriaError("bad-input", `the name "${name}" is taken: another tensor's, or the metadata's`);
    const plain = vectors.has(name) ? [columns] : [rows, columns];
    const shape = asBytes ? [rows, rowBytes(format, columns)] : tensor.shape ? shapeOf(tensor) : plain;
    const end = offset + tensorBytes(tensor);
    members.set(name, JSON.stringify({ dtype: asBytes ? "U8" : format, shape, data_offsets: [offset, end] }));
    offset = end;
  }
  return `{${Array.from(members, ([name, value]) => `${JSON.stringify(name)}:${value}`).join()}}`;
}
