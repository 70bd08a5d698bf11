/**
 * Records of a Parquet file, row group by row group, with all of the format's compressions.
 *
 * Flow: ByteSource → parquetRecords → records.ts.
 */
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { ByteSource } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";
import type { DataRecord } from "./records.ts";

/** All of the format's; a column of nulls alone has pages of no byte, which those of LZ4 cannot read. */
const decompressors: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, outputLength: number) =>
      outputLength === 0 ? new Uint8Array(0) : decompress(input, outputLength),
  ]),
);

/** @throws {CriaError} "bad-file" with what the reader says of a damaged file. */
export async function* parquetRecords(source: ByteSource): AsyncIterable<DataRecord> {
  const file: AsyncBuffer = {
    byteLength: source.byteLength,
    async slice(start, end = source.byteLength) {
      const from = start < 0 ? source.byteLength + start : start;
      return Uint8Array.from(await source.read(from, end - from)).buffer;
    },
  };
  const metadata = await worded(source.name, parquetMetadataAsync(file));
  let first = 0;
  for (const group of metadata.row_groups) {
    const end = first + Number(group.num_rows);
    const rows = await worded(source.name, rowsOf(file, metadata, first, end));
    for (const [index, fields] of rows.entries())
      yield { fields, where: `${source.name}, row ${first + index + 1}` };
    first = end;
  }
}

async function rowsOf(
  file: AsyncBuffer,
  metadata: FileMetaData,
  rowStart: number,
  rowEnd: number,
): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = [];
  await parquetRead({
    ...{ file, metadata, rowStart, rowEnd, compressors: decompressors },
    rowFormat: "object",
    onComplete(all) {
      rows = all.map((row) => withNumbers(row) as Record<string, unknown>);
    },
  });
  return rows;
}

/** A value with numbers for whole numbers of 64 bits, as JSON has them: arguments of calls are written as JSON again. */
function withNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (Object.prototype.toString.call(value) !== "[object Object]") return value;
  return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [name, withNumbers(item)]));
}

async function worded<Value>(name: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof CriaError && cause.code !== "bad-file") throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CriaError("bad-file", `${name}: broken Parquet: ${reason}`, { cause });
  }
}
