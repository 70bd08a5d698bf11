/**
 * The numbers that GGUF gives to metadata types and tensor formats.
 *
 * Source: the GGUF specification; ggml.h for the formats.
 */

import { blockBytes, blockLength, type TensorFormat, tensorFormats } from "../../tensor/format.ts";
import type { MetadataValue } from "../stored-tensor.ts";

/** Metadata types by number. */
export const SCALAR_TYPES = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;

export type ScalarType = Exclude<(typeof SCALAR_TYPES)[number], "array">;

/** The type of a metadata value: `u32`, `string`, `array<f32>`, `array<array<u8>>` … */
export type GgufType = ScalarType | `array<${string}>`;

/** Bytes of a value of each type; for strings and arrays the least, that of their length. */
export const LEAST_BYTES: Readonly<Record<(typeof SCALAR_TYPES)[number], number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
};

type TypedArrayConstructor =
  | typeof Uint8Array
  | typeof Int8Array
  | typeof Uint16Array
  | typeof Int16Array
  | typeof Uint32Array
  | typeof Int32Array
  | typeof Float32Array
  | typeof Float64Array;

/** What an array of each element type becomes; the others become lists. */
export const TYPED_ARRAYS: Readonly<Partial<Record<(typeof SCALAR_TYPES)[number], TypedArrayConstructor>>> = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
};

/** A tensor format of ggml's: one that Cria computes with (`format`), or one it only knows the size of. */
export interface GgufFormat {
  readonly name: string;
  readonly format: TensorFormat | undefined;
  readonly blockLength: number;
  readonly blockBytes: number;
}

const NUMBERS: Readonly<Record<TensorFormat, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  I32: 26,
  BF16: 30,
};

/** Formats that are only listed: number, name, values and bytes of a block. */
const FOREIGN: readonly (readonly [number, string, number, number])[] = [
  [9, "Q8_1", 32, 36],
  [15, "Q8_K", 256, 292],
  [16, "IQ2_XXS", 256, 66],
  [17, "IQ2_XS", 256, 74],
  [18, "IQ3_XXS", 256, 98],
  [19, "IQ1_S", 256, 50],
  [21, "IQ3_S", 256, 110],
  [22, "IQ2_S", 256, 82],
  [23, "IQ4_XS", 256, 136],
  [24, "I8", 1, 1],
  [25, "I16", 1, 2],
  [27, "I64", 1, 8],
  [28, "F64", 1, 8],
  [29, "IQ1_M", 256, 56],
  [34, "TQ1_0", 256, 54],
  [35, "TQ2_0", 256, 66],
  [39, "MXFP4", 32, 17],
  [40, "NVFP4", 64, 36],
  [41, "Q1_0", 128, 18],
];

const FORMATS: ReadonlyMap<number, GgufFormat> = new Map([
  ...tensorFormats.map((format): [number, GgufFormat] => [
    NUMBERS[format],
    { name: format, format, blockLength: blockLength(format), blockBytes: blockBytes(format) },
  ]),
  ...FOREIGN.map(([number, name, length, bytes]): [number, GgufFormat] => [
    number,
    { name, format: undefined, blockLength: length, blockBytes: bytes },
  ]),
]);

export function formatOfNumber(number: number): GgufFormat | undefined {
  return FORMATS.get(number);
}

export function numberOfFormat(format: TensorFormat): number {
  return NUMBERS[format];
}

/** Whether a value of `general.alignment` is one: a power of two, up to a megabyte. */
export function isAlignment(value: MetadataValue): value is number {
  return typeof value === "number" && Number.isInteger(Math.log2(value)) && value >= 1 && value <= 2 ** 20;
}

/** A metadata value in a few characters, for messages: it may be an array of millions. */
export function shownValue(value: MetadataValue | undefined): string {
  if (typeof value === "object") return `an array of ${value.length}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}
