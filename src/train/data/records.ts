/**
 * Reads the records of a data file, one after the other, whatever its format:
 *
 *   .txt, .md      a record {text} for each document; documents are separated by a line `<|endoftext|>`
 *   .jsonl         an object a line        .json   a list of objects
 *   .csv           an object a row, by the names of the first
 *   .parquet       an object a row
 *
 * Text, JSONL, CSV and Parquet are read piece by piece, so a file may be larger than memory.
 *
 * Flow: path → readRecords → example.ts.
 */
import { type Info, parse } from "csv-parse";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { ByteSource, FileSystem } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";

/** A record and where it stands, for messages. */
export interface DataRecord {
  readonly fields: Readonly<Record<string, unknown>>;
  /** `stories.jsonl, line 12` */
  readonly where: string;
}

export const documentSeparator = "<|endoftext|>";

/** Bytes read at a time. */
const PIECE = 4 << 20;
/** A list in one file has to be parsed whole. */
const LARGEST_JSON = 512 << 20;
/** A document without a separator is handed out in parts of at least this many characters, cut at a line's end. */
const LONGEST_DOCUMENT = 1 << 20;

/** @throws {CriaError} "bad-file" naming file and line; "unsupported" for another ending; "not-found" */
export async function* readRecords(path: string, files: FileSystem): AsyncGenerator<DataRecord> {
  const ending = /\.(txt|md|jsonl|json|csv|parquet)$/.exec(path)?.[1];
  if (ending === undefined)
    throw new CriaError("unsupported", `${path}: expected a .txt, .md, .jsonl, .json, .csv or .parquet file`);
  const source = await files.open(path);
  try {
    if (ending === "jsonl") yield* jsonLines(source);
    else if (ending === "json") yield* jsonList(source);
    else if (ending === "csv") yield* csvRows(source);
    else if (ending === "parquet") yield* parquetRows(source);
    else yield* documents(source);
  } finally {
    await source.close();
  }
}

/** The text piece by piece. A character may cross two pieces; bytes that are no UTF-8 are refused. */
async function* textOf(source: ByteSource): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let offset = 0; offset < source.byteLength; offset += PIECE) {
    const length = Math.min(PIECE, source.byteLength - offset);
    try {
      const last = offset + length === source.byteLength;
      yield decoder.decode(await source.read(offset, length), { stream: !last });
    } catch (cause) {
      if (cause instanceof CriaError) throw cause;
      throw new CriaError("bad-file", `${source.name}: not UTF-8 text near byte ${offset}`, { cause });
    }
  }
}

async function* documents(source: ByteSource): AsyncGenerator<DataRecord> {
  let rest = "";
  let number = 0;
  const record = (text: string): DataRecord => ({
    fields: { text },
    where: `${source.name}, document ${++number}`,
  });
  for await (const piece of textOf(source)) {
    rest += piece;
    const parts = rest.split(documentSeparator);
    rest = parts.pop() ?? "";
    for (const text of parts) if (text.trim() !== "") yield record(text.trim());
    while (rest.length > 2 * LONGEST_DOCUMENT) {
      const end = rest.indexOf("\n", LONGEST_DOCUMENT) + 1 || 2 * LONGEST_DOCUMENT;
      yield record(rest.slice(0, end));
      rest = rest.slice(end);
    }
  }
  if (rest.trim() !== "") yield record(rest.trim());
}

async function* jsonLines(source: ByteSource): AsyncGenerator<DataRecord> {
  let rest = "";
  let line = 0;
  const record = (text: string): DataRecord[] => {
    line++;
    if (text.trim() === "") return [];
    const where = `${source.name}, line ${line}`;
    return [{ fields: asObject(parseJson(text, where), where), where }];
  };
  for await (const piece of textOf(source)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) yield* record(text);
  }
  yield* record(rest);
}

async function* jsonList(source: ByteSource): AsyncGenerator<DataRecord> {
  if (source.byteLength > LARGEST_JSON)
    throw new CriaError(
      "bad-file",
      `${source.name}: ${source.byteLength} bytes are too many for one JSON value; use .jsonl, an object a line`,
    );
  let text = "";
  for await (const piece of textOf(source)) text += piece;
  const value = parseJson(text, source.name);
  if (!Array.isArray(value)) throw new CriaError("bad-file", `${source.name}: expected a list of objects`);
  for (const [index, entry] of value.entries()) {
    const where = `${source.name}, entry ${index + 1}`;
    yield { fields: asObject(entry, where), where };
  }
}

async function* csvRows(source: ByteSource): AsyncGenerator<DataRecord> {
  const parser = parse({ columns: true, info: true, bom: true, skip_empty_lines: true });
  const feed = async (): Promise<void> => {
    for await (const piece of textOf(source))
      if (!parser.write(piece)) await new Promise((resolve) => parser.once("drain", resolve));
    parser.end();
  };
  const feeding = feed().catch((error: unknown) => parser.destroy(error as Error));
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: Record<string, unknown>;
      info: Info;
    }>)
      yield { fields: record, where: `${source.name}, line ${info.lines}` };
    await feeding;
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CriaError("bad-file", `${source.name}: broken CSV: ${reason}`, { cause });
  }
}

/** Rows of a group at a time. */
const PARQUET_ROWS = 4096;

async function* parquetRows(source: ByteSource): AsyncGenerator<DataRecord> {
  const file = {
    byteLength: source.byteLength,
    slice: async (start: number, end: number = source.byteLength): Promise<ArrayBuffer> => {
      const bytes = await source.read(start, end - start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    const count = Number(metadata.num_rows);
    for (let first = 0; first < count; first += PARQUET_ROWS) {
      const range = { rowStart: first, rowEnd: Math.min(count, first + PARQUET_ROWS) };
      const rows = await parquetReadObjects({ file, metadata, compressors, ...range });
      for (const [index, row] of rows.entries()) {
        const where = `${source.name}, row ${first + index + 1}`;
        yield { fields: asObject(row, where), where };
      }
    }
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CriaError("bad-file", `${source.name}: broken Parquet: ${reason}`, { cause });
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CriaError("bad-file", `${where}: not valid JSON: ${(cause as Error).message}`, { cause });
  }
}

function asObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new CriaError("bad-file", `${where}: expected an object with named fields`);
}
