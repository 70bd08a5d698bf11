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
import { type OrderedJson, parseOrderedJson } from "./ordered-json.ts";

export interface SafetensorsInfo {
  readonly name: string;
  readonly dtype: string;
  /** Undefined for a dtype that no weight of a Llama has. */
  readonly format: TensorFormat | undefined;
  readonly shape: readonly number[];
  readonly rows: number;
  readonly columns: number;
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A header longer than this is refused, as the format's own reader does. */
export const LONGEST_HEADER = 100_000_000;

const FORMATS: Readonly<Record<string, TensorFormat>> = { F32: "F32", F16: "F16", BF16: "BF16" };

/** Bits of a value of each dtype of the format. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** header, tensor, shape */
const DEEPEST = 3;

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
  const dataOffset = 8 + json.length;
  const metadata = new Map<string, string>();
  const tensors: SafetensorsInfo[] = [];
  for (const [key, value] of parseObject(name, json)) {
    if (key !== "__metadata__") {
      tensors.push(readInfo(name, key, value, dataOffset));
      continue;
    }
    if (!(value instanceof Map))
      throw new CriaError("bad-file", `${name}: __metadata__ should be an object of strings`);
    for (const [key, text] of value) {
      if (typeof text !== "string")
        throw new CriaError("bad-file", `${name}: __metadata__.${key.slice(0, 200)} should be a string`);
      metadata.set(key, text);
    }
  }
  checkCover(name, tensors, dataOffset, fileLength);
  return { metadata, tensors };
}

const OPENING_BRACE = 0x7b;

function parseObject(name: string, json: Uint8Array): Map<string, OrderedJson> {
  if (json[0] !== OPENING_BRACE)
    throw new CriaError("bad-file", `${name}: expected a JSON object at byte 8, but found byte ${json[0]}`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(json);
    return parseOrderedJson(text, DEEPEST) as Map<string, OrderedJson>;
  } catch (cause) {
    const what = cause instanceof SyntaxError ? cause.message : "invalid UTF-8";
    throw new CriaError("bad-file", `${name}: the header at byte 8 is not valid JSON: ${what}`, { cause });
  }
}

function isSizes(value: OrderedJson | undefined): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && Number(size) >= 0);
}

/** A value in a few characters, for messages. */
export function shownJson(value: OrderedJson | undefined): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}

function readInfo(file: string, name: string, value: OrderedJson, dataOffset: number): SafetensorsInfo {
  const bad = (message: string) =>
    new CriaError("bad-file", `${file}: tensor "${name.slice(0, 200)}": ${message}`);
  if (!(value instanceof Map)) throw bad("expected an object with dtype, shape and data_offsets");
  const dtype = value.get("dtype");
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BITS, dtype))
    throw bad(`unknown dtype ${shownJson(dtype)}`);
  const shape = value.get("shape");
  if (!isSizes(shape) || shape.length > 8) throw bad("shape should be a list of at most 8 sizes");
  const offsets = value.get("data_offsets");
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[1] < offsets[0])
    throw bad("data_offsets should be [first, end]");
  const columns = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const byteLength = (rows * columns * DTYPE_BITS[dtype]) / 8;
  if (byteLength !== offsets[1] - offsets[0])
    throw bad(
      `shape [${shape}] of ${dtype} takes ${byteLength} bytes, but data_offsets say ${offsets[1] - offsets[0]}`,
    );
  const format = Object.hasOwn(FORMATS, dtype) ? FORMATS[dtype] : undefined;
  return { name, dtype, format, shape, rows, columns, byteOffset: dataOffset + offsets[0], byteLength };
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
