/**
 * Opens GGUF files, whole or split in parts, without reading their weights.
 *
 * Flow: ByteSource → header → TensorFile (rows on demand).
 * Source: the GGUF specification; llama.cpp's gguf-split for the names and keys of parts.
 */
import { CriaError } from "../../shared/errors.ts";
import { rowBytes, type TensorFormat } from "../../tensor/format.ts";
import type { ByteSource, FileSystem } from "../byte-source.ts";
import { checkRows } from "../check-rows.ts";
import type { StoredTensor, TensorFile, UnsupportedTensor } from "../stored-tensor.ts";
import { NeedMoreBytes } from "./cursor.ts";
import { type GgufHeader, type GgufTensorInfo, parseHeader } from "./header.ts";
import { type GgufType, shownValue } from "./types.ts";

/** An opened GGUF file, with what is needed to write it again. */
export interface GgufFile extends TensorFile {
  readonly kind: "gguf";
  readonly version: number;
  readonly alignment: number;
  /** Type of each metadata value. */
  readonly types: ReadonlyMap<string, GgufType>;
}

/** Bytes of the first try; most headers are a vocabulary of one to eight megabytes. */
const FIRST_BYTES = 1 << 20;
/** A header beyond this is no header: the largest vocabularies take some 20 MB. */
const MOST_BYTES = 256 << 20;

/** Whether a file that starts so is a GGUF. */
export function isGguf(firstBytes: Uint8Array): boolean {
  return firstBytes.length >= 4 && new TextDecoder("latin1").decode(firstBytes.subarray(0, 4)) === "GGUF";
}

/**
 * Opens a GGUF. For one part of a split file `files` finds the others beside it. The sources are closed with the file.
 *
 * @throws {CriaError} "bad-file", "unsupported", or "not-found" for a missing part.
 */
export async function openGguf(source: ByteSource, files?: FileSystem): Promise<GgufFile> {
  const header = await readHeader(source);
  const partCount = header.metadata.get("split.count") ?? 1;
  if (typeof partCount !== "number" || partCount <= 1) return toFile([{ source, header }]);
  return openSplit({ source, header }, partCount, files);
}

/** Reads more until the header ends: at least four times as much as before, so that all reads cost little more than one. */
async function readHeader(source: ByteSource): Promise<GgufHeader> {
  for (let length = FIRST_BYTES; ; ) {
    const bytes = await source.read(0, Math.min(length, source.byteLength));
    try {
      return parseHeader(source.name, bytes, source.byteLength);
    } catch (error) {
      if (!(error instanceof NeedMoreBytes)) throw error;
      if (error.byteLength > MOST_BYTES)
        throw new CriaError(
          "bad-file",
          `${source.name}: the header goes on to byte ${error.byteLength}; expected at most ${MOST_BYTES}`,
        );
      length = Math.min(MOST_BYTES, Math.max(4 * length, error.byteLength));
    }
  }
}

interface Part {
  readonly source: ByteSource;
  readonly header: GgufHeader;
}

/** Opens the parts beside one of them; those opened here are closed again if anything is wrong with any. */
async function openSplit(given: Part, count: number, files: FileSystem | undefined): Promise<GgufFile> {
  const { name } = given.source;
  if (!files)
    throw new CriaError(
      "not-found",
      `${name}: one of ${count} parts, and the others cannot be reached from here`,
    );
  const match = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(name);
  if (Number(match?.[2]) !== count || !match)
    throw new CriaError(
      "bad-file",
      `${name}: one of ${count} parts, which must be named NAME-00001-of-${String(count).padStart(5, "0")}.gguf`,
    );
  const parts: Part[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const path = `${match[1]}-${String(index + 1).padStart(5, "0")}-of-${match[2]}.gguf`;
      parts.push(path === name ? given : await openPart(path, files));
      const { metadata } = parts[index].header;
      const number = metadata.get("split.no");
      if (number !== index || metadata.get("split.count") !== count)
        throw new CriaError(
          "bad-file",
          `${path}: split.no is ${shownValue(number)}; expected ${index} of ${count} parts`,
        );
    }
    return toFile(parts);
  } catch (error) {
    for (const part of parts) if (part !== given) await part.source.close();
    throw error;
  }
}

async function openPart(path: string, files: FileSystem): Promise<Part> {
  const source = await files.open(path);
  try {
    return { source, header: await readHeader(source) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function toFile(parts: readonly Part[]): GgufFile {
  const [{ source, header }] = parts;
  const tensors = new Map<string, StoredTensor>();
  const unsupported: UnsupportedTensor[] = [];
  for (const part of parts) {
    for (const info of part.header.tensors) {
      if (tensors.has(info.name))
        throw new CriaError(
          "bad-file",
          `${part.source.name}: the tensor "${info.name}" is in an earlier part too`,
        );
      const { format, name, rows, columns, byteLength } = info;
      if (format.format) tensors.set(name, storedTensor(part, info, format.format));
      else unsupported.push({ name, format: format.name, rows, columns, byteLength });
    }
  }
  const total = header.metadata.get("split.tensors.count");
  const count = tensors.size + unsupported.length;
  if (typeof total === "number" && parts.length > 1 && total !== count)
    throw new CriaError("bad-file", `${source.name}: the parts hold ${count} tensors; expected ${total}`);
  return {
    kind: "gguf",
    name: source.name,
    version: header.version,
    alignment: header.alignment,
    metadata: header.metadata,
    types: header.types,
    config: {},
    tensors,
    unsupported,
    paths: parts.map((part) => part.source.name),
    byteLength: parts.reduce((sum, part) => sum + part.source.byteLength, 0),
    async close() {
      for (const part of parts) await part.source.close();
    },
  };
}

function storedTensor({ source, header }: Part, info: GgufTensorInfo, format: TensorFormat): StoredTensor {
  const { name, rows, columns, sizes } = info;
  const bytesPerRow = rowBytes(format, columns);
  return {
    name,
    format,
    rows,
    columns,
    shape: sizes.toReversed(),
    async readRows(rowFirst, rowCount, into) {
      checkRows(info, rowFirst, rowCount);
      const offset = header.dataOffset + info.offset + rowFirst * bytesPerRow;
      return source.read(offset, rowCount * bytesPerRow, into);
    },
  };
}
