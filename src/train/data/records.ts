/**
 * The records of a data file, one after the other; what their fields mean is for example.ts.
 *
 *   .txt .md         documents between separators; with `pair`, prompt and answer of each
 *   .jsonl .ndjson   an object a line
 *   .json            a list of objects (read whole)
 *   .csv .tsv        a record a row, named by the first row
 *   .parquet         a record a row, read row group by row group
 *
 * All but Parquet may be gzipped (name.gz).
 *
 * Flow: path → readRecords → example.ts → tokens.
 */
import { parse as parseCsv } from "csv-parse/browser/esm/sync";
import type { ByteSource, FileSystem } from "../../files/byte-source.ts";
import { CriaError, throwIfAborted } from "../../shared/errors.ts";
import { parquetRecords } from "./parquet.ts";
import { textChunks } from "./text-chunks.ts";

export interface DataRecord {
  readonly fields: Readonly<Record<string, unknown>>;
  /** File and line, row or document, for messages. */
  readonly where: string;
}

/** How plain text is cut into documents. */
export interface TextFormat {
  /** Between documents. Default `<|endoftext|>`; "" takes a file as one document. */
  readonly separator?: string | undefined;
  /** Documents are `prompt` + this + `answer`, such as `<start>`. Default: they are text. */
  readonly pair?: string | undefined;
}

export interface ReadOptions {
  readonly text?: TextFormat | undefined;
  readonly signal?: AbortSignal | undefined;
}

const defaultSeparator = "<|endoftext|>";
/** UTF-16 units of a line, row or document; a longer document is cut at a line end. */
const longestRecord = 1 << 22;
const csvBatchLength = 1 << 18;
/** A .json file is parsed whole, so its text must fit a string. */
const longestJson = 1 << 28;

/** The endings of files that can be read. */
const recordEndings: readonly string[] = [
  ...[".txt", ".md", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"],
];

/** @throws {CriaError} "bad-file" that names file and line; "unsupported" for another kind of file. */
export async function* readRecords(
  path: string,
  files: FileSystem,
  options: ReadOptions = {},
): AsyncIterable<DataRecord> {
  const source = await files.open(path);
  try {
    for await (const record of recordsOf(source, options)) {
      throwIfAborted(options.signal);
      yield record;
    }
  } finally {
    await source.close();
  }
}

function recordsOf(source: ByteSource, { text = {} }: ReadOptions): AsyncIterable<DataRecord> {
  const ending = /\.[a-z]+$/.exec(source.name.toLowerCase().replace(/\.gz$/, ""))?.[0] ?? "";
  switch (ending) {
    case ".txt":
    case ".md":
      return textRecords(source, text);
    case ".jsonl":
    case ".ndjson":
      return jsonLines(source);
    case ".json":
      return jsonList(source);
    case ".csv":
      return csvRecords(source, ",");
    case ".tsv":
      return csvRecords(source, "\t");
    case ".parquet":
      return parquetRecords(source);
    default:
      throw new CriaError(
        "unsupported",
        `${source.name}: expected a ${recordEndings.join(", ")} file (also as .gz), found the ending ${JSON.stringify(ending)}`,
      );
  }
}

async function* textRecords(source: ByteSource, format: TextFormat): AsyncIterable<DataRecord> {
  const { separator = defaultSeparator, pair } = format;
  let count = 0;
  for await (const document of parts(source, separator, longestRecord)) {
    const text = document.trim();
    if (text === "") continue;
    const where = `${source.name}, document ${++count}`;
    if (pair === undefined) {
      yield { fields: { text }, where };
      continue;
    }
    const at = text.indexOf(pair);
    if (at < 0)
      throw new CriaError(
        "bad-file",
        `${where}: expected ${JSON.stringify(pair)} between prompt and answer, found ${JSON.stringify(text.slice(0, 60))}`,
      );
    yield {
      fields: { prompt: text.slice(0, at).trim(), completion: text.slice(at + pair.length).trim() },
      where,
    };
  }
}

async function* jsonLines(source: ByteSource): AsyncIterable<DataRecord> {
  let line = 0;
  for await (const text of parts(source, "\n")) {
    line++;
    if (text.trim() === "") continue;
    const where = `${source.name}, line ${line}`;
    yield { fields: objectOf(parsedJson(text, where), where), where };
  }
}

async function* jsonList(source: ByteSource): AsyncIterable<DataRecord> {
  let text = "";
  for await (const chunk of textChunks(source)) {
    text += chunk;
    if (text.length > longestJson)
      throw new CriaError(
        "unsupported",
        `${source.name}: a .json file is read whole, and this one is longer than ${longestJson} characters; ` +
          "write it as .jsonl, a record a line",
      );
  }
  const list = parsedJson(text, source.name);
  if (!Array.isArray(list))
    throw new CriaError("bad-file", `${source.name}: expected a list of records, found ${typeof list}`);
  for (const [index, value] of list.entries()) {
    const where = `${source.name}, record ${index + 1}`;
    yield { fields: objectOf(value, where), where };
  }
}

interface CsvRow {
  readonly text: string;
  readonly line: number;
}

async function* csvRecords(source: ByteSource, delimiter: string): AsyncIterable<DataRecord> {
  let names: readonly string[] | undefined;
  for await (const rows of csvBatches(source))
    for (const [index, cells] of csvCells(rows, delimiter, source.name).entries()) {
      const where = `${source.name}, line ${rows[index].line}`;
      if (!names) {
        names = cells;
        continue;
      }
      if (cells.length !== names.length)
        throw new CriaError(
          "bad-file",
          `${where}: broken CSV: expected ${names.length} cells, found ${cells.length}`,
        );
      yield { fields: Object.fromEntries(names.map((name, column) => [name, cells[column]])), where };
    }
}

/** Rows, many at a time: a parser of its own for each would take longer than the parsing. */
async function* csvBatches(source: ByteSource): AsyncIterable<readonly CsvRow[]> {
  let rows: CsvRow[] = [];
  let length = 0;
  let row = "";
  let quotes = 0;
  let line = 0;
  let firstLine = 1;
  const unclosed = () =>
    new CriaError("bad-file", `${source.name}, line ${firstLine}: broken CSV: a quoted cell has no end`);
  for await (const text of parts(source, "\n")) {
    line++;
    if (row === "") firstLine = line;
    row += `${text}\n`;
    // Inside quotes a line end belongs to the field.
    quotes += quoteCount(text);
    if (quotes % 2 === 1) {
      if (row.length > longestRecord) throw unclosed();
      continue;
    }
    if (row.trim() !== "") rows.push({ text: row.replace(/\r\n$/, "\n"), line: firstLine });
    length += row.length;
    row = "";
    quotes = 0;
    if (length < csvBatchLength) continue;
    yield rows;
    rows = [];
    length = 0;
  }
  if (row !== "") throw unclosed();
  yield rows;
}

function quoteCount(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

/** The cells of each row. */
function csvCells(rows: readonly CsvRow[], delimiter: string, name: string): string[][] {
  const parsed = (text: string) =>
    parseCsv(text, { delimiter, record_delimiter: "\n", relax_column_count: true }) as string[][];
  try {
    return parsed(rows.map(({ text }) => text).join(""));
  } catch (cause) {
    if (rows.length === 1) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CriaError("bad-file", `${name}, line ${rows[0].line}: broken CSV: ${reason}`, { cause });
    }
    // One by one, to find the line.
    return rows.flatMap((row) => csvCells([row], delimiter, name));
  }
}

/** The text of a file between separators; with `cutAt`, what is longer is cut at a line end. */
async function* parts(source: ByteSource, separator: string, cutAt?: number): AsyncIterable<string> {
  let rest = "";
  let searched = 0;
  for await (const chunk of textChunks(source)) {
    rest += chunk;
    let start = 0;
    for (;;) {
      const end = separator === "" ? -1 : rest.indexOf(separator, Math.max(start, searched));
      if (end < 0) break;
      yield rest.slice(start, end);
      start = end + separator.length;
    }
    rest = rest.slice(start);
    // A separator may be cut by the end of the chunk.
    searched = Math.max(0, rest.length - separator.length);
    if (rest.length <= longestRecord * (cutAt === undefined ? 8 : 1)) continue;
    if (cutAt === undefined)
      throw new CriaError(
        "bad-file",
        `${source.name}: a line of more than ${8 * longestRecord} characters; is it the right format?`,
      );
    while (rest.length > cutAt) {
      const at = rest.lastIndexOf("\n", cutAt) + 1 || cutAt;
      yield rest.slice(0, at);
      rest = rest.slice(at);
    }
    searched = 0;
  }
  if (rest !== "") yield rest;
}

function parsedJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CriaError("bad-file", `${where}: not valid JSON: ${reason}`, { cause });
  }
}

function objectOf(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new CriaError(
    "bad-file",
    `${where}: expected an object, found ${Array.isArray(value) ? "a list" : typeof value}`,
  );
}
