/**
 * Opens GGUF files, whole or split in parts, without reading their weights.
 *
 * Flow: ByteSource → header → TensorFile (rows on demand).
 * Source: the GGUF specification; llama.cpp's gguf-split for the names and keys of parts.
 */
import { CriaError } from "../../shared/errors.ts";
import { rowBytes, type TensorFormat } from "../../tensor/format.ts";
import type { ByteSource, FileSystem } from "../byte-source.ts";
import type { StoredTensor, TensorFile, UnsupportedTensor } from "../stored-tensor.ts";
import { type GgufHeader, type GgufTensorInfo, NeedMoreBytes, parseHeader } from "./header.ts";
import type { GgufType } from "./types.ts";

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
/** A header beyond this is no header. */
const MOST_BYTES = 512 << 20;

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
  return toFile(await openParts(source, header, partCount, files));
}

async function readHeader(source: ByteSource): Promise<GgufHeader> {
  for (let length = FIRST_BYTES; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.byteLength));
    try {
      return parseHeader(source.name, bytes, source.byteLength);
    } catch (error) {
      if (!(error instanceof NeedMoreBytes)) throw error;
      if (length > MOST_BYTES)
        throw new CriaError("bad-file", `${source.name}: the header is longer than ${MOST_BYTES} bytes`);
    }
  }
}

interface Part {
  readonly source: ByteSource;
  readonly header: GgufHeader;
}

async function openParts(
  source: ByteSource,
  header: GgufHeader,
  count: number,
  files?: FileSystem,
): Promise<Part[]> {
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(source.name);
  if (!match || !files || Number(match[3]) !== count)
    throw new CriaError(
      "bad-file",
      `${source.name}: one of ${count} parts, which must be named NAME-00001-of-${String(count).padStart(5, "0")}.gguf`,
    );
  const parts: Part[] = [];
  const opened: ByteSource[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const path = `${match[1]}-${String(index + 1).padStart(5, "0")}-of-${match[3]}.gguf`;
      const own = path === source.name;
      const part = own ? source : await files.open(path);
      if (!own) opened.push(part);
      const partHeader = own ? header : await readHeader(part);
      const number = partHeader.metadata.get("split.no");
      if (number !== index || partHeader.metadata.get("split.count") !== count)
        throw new CriaError(
          "bad-file",
          `${path}: split.no is ${String(number)}; expected ${index} of ${count} parts`,
        );
      parts.push({ source: part, header: partHeader });
    }
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
  return parts;
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
  if (typeof total === "number" && parts.length > 1 && total !== tensors.size + unsupported.length)
    throw new CriaError(
      "bad-file",
      `${source.name}: the parts hold ${tensors.size} tensors; expected ${total}`,
    );
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
  const bytesPerRow = rowBytes(format, info.columns);
  return {
    name: info.name,
    format,
    rows: info.rows,
    columns: info.columns,
    readRows(rowFirst, rowCount) {
      return source.read(header.dataOffset + info.offset + rowFirst * bytesPerRow, rowCount * bytesPerRow);
    },
  };
}
