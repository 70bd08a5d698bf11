/** GGUF files in memory. */
import type { GgufType } from "../../src/files/gguf/types.ts";
import { type GgufEntry, writeGguf } from "../../src/files/gguf/write.ts";
import type { StoredTensor } from "../../src/files/stored-tensor.ts";
import { rowBytes, type TensorFormat } from "../../src/tensor/format.ts";
import { memorySink } from "../memory-sink.ts";

export async function ggufBytes(
  entries: readonly GgufEntry[],
  tensors: readonly StoredTensor[],
  version = 3,
): Promise<Uint8Array> {
  const sink = memorySink();
  await writeGguf(sink, { version, entries, tensors });
  return sink.bytes();
}

/** A tensor whose bytes count up from `fill`, with a shape other than [rows, columns] if given. */
export function countingTensor(
  name: string,
  format: TensorFormat,
  rows: number,
  columns: number,
  { fill = 7, shape }: { readonly fill?: number; readonly shape?: readonly number[] } = {},
): StoredTensor {
  const bytes = rowBytes(format, columns);
  return {
    name,
    format,
    rows,
    columns,
    ...(shape ? { shape } : {}),
    readRows: async (first, count) =>
      Uint8Array.from({ length: count * bytes }, (_, i) => fill + first * bytes + i),
  };
}

/** One entry, "a", at byte 24 (17 bytes), and the tensors "t" [2, 3] at byte 41 and "u" [3, 64]. */
export function smallGguf(): Promise<Uint8Array> {
  const entry = { key: "a", type: "u32" as GgufType, value: 5 };
  return ggufBytes([entry], [countingTensor("t", "F32", 2, 3), countingTensor("u", "Q4_0", 3, 64)]);
}
