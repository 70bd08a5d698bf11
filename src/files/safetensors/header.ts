/**
 * The start of a safetensors file: a length, then JSON that says where each tensor lies.
 *
 *   u64 length  { "__metadata__": {string: string}, name: { "dtype", "shape", "data_offsets": [first, end] } … }  data
 *
 * Tensors cover the data without holes or overlaps, as the format demands.
 *
 * Source: huggingface/safetensors, README and the checks of its Rust reader.
 */
import { CriaError } from "../../shared/errors.ts";
import type { TensorFormat } from "../../tensor/format.ts";

export interface SafetensorsInfo {
  readonly name: string;
  readonly dtype: string;
  /** Undefined for a dtype that no weight of a Llama has. */
  readonly format: TensorFormat | undefined;
  readonly rows: number;
  readonly columns: number;
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A header longer than this is refused, as the format's own reader does. */
export const LONGEST_HEADER = 100_000_000;

const FORMATS: Readonly<Record<string, TensorFormat>> = { F32: "F32", F16: "F16", BF16: "BF16" };

/** Bytes of a value of each dtype of the format. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
};

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: readonly SafetensorsInfo[];
}

/** Length of the JSON, from the first 8 bytes. @throws {CriaError} "bad-file" */
export function headerLength(name: string, first: Uint8Array, fileLength: number): number {
  if (first.length < 8)
    throw new CriaError("bad-file", `${name}: expected at least 8 bytes, but the file has ${fileLength}`);
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > BigInt(LONGEST_HEADER) || length > BigInt(fileLength - 8) || length < 2n)
    throw new CriaError(
      "bad-file",
      `${name}: a header of ${length} bytes does not fit a file of ${fileLength}`,
    );
  return Number(length);
}

/** Parses and checks the JSON of a file. @throws {CriaError} "bad-file", naming the tensor */
export function parseHeader(name: string, json: Uint8Array, fileLength: number): SafetensorsHeader {
  const entries = Object.entries(parseObject(name, json));
  const dataOffset = 8 + json.length;
  const metadata = new Map<string, string>();
  const tensors: SafetensorsInfo[] = [];
  for (const [key, value] of entries) {
    if (key !== "__metadata__") {
      tensors.push(readInfo(name, key, value, dataOffset));
      continue;
    }
    if (!isRecord(value))
      throw new CriaError("bad-file", `${name}: __metadata__ should be an object of strings`);
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== "string")
        throw new CriaError("bad-file", `${name}: __metadata__.${key} should be a string`);
      metadata.set(key, text);
    }
  }
  checkCover(name, tensors, dataOffset, fileLength);
  return { metadata, tensors };
}

function parseObject(name: string, json: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (cause) {
    throw new CriaError("bad-file", `${name}: the header at byte 8 is not valid JSON`, { cause });
  }
  if (!isRecord(parsed))
    throw new CriaError("bad-file", `${name}: the header at byte 8 is not a JSON object`);
  return parsed;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function readInfo(file: string, name: string, value: unknown, dataOffset: number): SafetensorsInfo {
  const bad = (message: string) => new CriaError("bad-file", `${file}: tensor "${name}": ${message}`);
  if (!isRecord(value)) throw bad("expected an object with dtype, shape and data_offsets");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BYTES, dtype))
    throw bad(`unknown dtype ${JSON.stringify(dtype)}`);
  if (!isSizes(shape) || shape.length > 8) throw bad("shape should be a list of at most 8 sizes");
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[1] < offsets[0])
    throw bad("data_offsets should be [first, end]");
  const columns = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const byteLength = rows * columns * DTYPE_BYTES[dtype];
  if (byteLength !== offsets[1] - offsets[0])
    throw bad(
      `shape [${shape}] of ${dtype} takes ${byteLength} bytes, but data_offsets say ${offsets[1] - offsets[0]}`,
    );
  const format = Object.hasOwn(FORMATS, dtype) ? FORMATS[dtype] : undefined;
  return { name, dtype, format, rows, columns, byteOffset: dataOffset + offsets[0], byteLength };
}

function checkCover(
  name: string,
  tensors: readonly SafetensorsInfo[],
  dataOffset: number,
  fileLength: number,
): void {
  let end = dataOffset;
  for (const tensor of [...tensors].sort(
    (a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  )) {
    if (tensor.byteOffset !== end) {
      const what = tensor.byteOffset < end ? "overlaps another" : "leaves a hole before it";
      throw new CriaError(
        "bad-file",
        `${name}: tensor "${tensor.name}" at byte ${tensor.byteOffset} ${what}`,
      );
    }
    end += tensor.byteLength;
  }
  if (end !== fileLength)
    throw new CriaError(
      "bad-file",
      `${name}: the tensors end at byte ${end}, but the file has ${fileLength}`,
    );
}
