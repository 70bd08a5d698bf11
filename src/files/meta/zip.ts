/**
 * The directory of a zip archive whose entries are stored, not compressed, as PyTorch writes them: an entry is then a
 * plain range of the file, and nothing ever grows by being unpacked.
 *
 *   [local header, name, extra, bytes]…  central directory  [zip64 end record, zip64 locator]  end record
 *
 * Flow: ByteSource → readZip (name → range) → pth.ts.
 * Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3 (zip64).
 */
import { CriaError } from "../../shared/errors.ts";
import type { ByteSource } from "../byte-source.ts";

/** Where an entry's bytes lie in the archive. */
export interface ZipEntry {
  readonly name: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const ZIP64_END_BYTES = 56;
const ZIP64_LOCATOR_BYTES = 20;
const LONGEST_COMMENT = 0xffff;
/** A field of 32 bits that holds this has its value in a zip64 field. */
const IN_ZIP64 = 0xffffffff;
/** A 70B checkpoint has under 1 000 entries; more than these are refused before anything is read. */
const LARGEST_ENTRY_COUNT = 65_536;
const LARGEST_DIRECTORY_BYTES = 16 << 20;

/**
 * Reads the central directory and every entry's local header.
 *
 * @throws {CriaError} "bad-file" when records are broken, overlap, repeat a name or pass the end; "unsupported" for
 * compressed or encrypted entries.
 */
export async function readZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const records = parseDirectory(
    await source.read(directory.byteOffset, directory.byteLength),
    directory,
    source,
  );
  records.sort((a, b) => a.headerOffset - b.headerOffset);
  const entries = new Map<string, ZipEntry>();
  for (const [i, record] of records.entries()) {
    if (entries.has(record.name))
      throw new CriaError("bad-file", `${source.name}: the archive has two entries named "${record.name}"`);
    // An entry ends before the next one's header, or before the directory.
    const limit = records[i + 1]?.headerOffset ?? directory.byteOffset;
    entries.set(record.name, await locate(source, record, limit));
  }
  return entries;
}

interface Directory {
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly entryCount: number;
}

/** An entry as the central directory tells it. */
interface Record {
  readonly name: string;
  readonly byteLength: number;
  readonly headerOffset: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const tailLength = Math.min(source.byteLength, END_BYTES + LONGEST_COMMENT + ZIP64_LOCATOR_BYTES);
  const tailOffset = source.byteLength - tailLength;
  const tail = viewOf(await source.read(tailOffset, tailLength));
  const at = findEnd(tail);
  if (at === undefined)
    throw new CriaError(
      "bad-file",
      `${source.name}: not a whole zip archive (it has no end record); is it cut short?`,
    );
  const locatorAt = at - ZIP64_LOCATOR_BYTES;
  const hasZip64 = locatorAt >= 0 && tail.getUint32(locatorAt, true) === ZIP64_LOCATOR;
  const directory = hasZip64
    ? await readZip64End(source, tail, tailOffset, locatorAt)
    : {
        entryCount: tail.getUint16(at + 10, true),
        byteLength: tail.getUint32(at + 12, true),
        byteOffset: tail.getUint32(at + 16, true),
        end: tailOffset + at,
      };
  const { byteOffset, byteLength, entryCount, end } = directory;
  if (byteOffset + byteLength > end)
    throw new CriaError(
      "bad-file",
      `${source.name}: the zip directory (${byteLength} bytes at byte ${byteOffset}) passes its end record at ${end}`,
    );
  if (entryCount > LARGEST_ENTRY_COUNT || byteLength > LARGEST_DIRECTORY_BYTES)
    throw new CriaError(
      "bad-file",
      `${source.name}: a zip directory of ${entryCount} entries in ${byteLength} bytes; expected at most ${LARGEST_ENTRY_COUNT} in ${LARGEST_DIRECTORY_BYTES}`,
    );
  return directory;
}

/** Where the end record begins: the last place whose comment reaches exactly to the end of the file. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--)
    if (
      tail.getUint32(at, true) === END &&
      at + END_BYTES + tail.getUint16(at + 20, true) === tail.byteLength
    )
      return at;
  return undefined;
}

async function readZip64End(
  source: ByteSource,
  tail: DataView,
  tailOffset: number,
  locatorAt: number,
): Promise<Directory & { end: number }> {
  const end = readUint64(tail, locatorAt + 8);
  if (end + ZIP64_END_BYTES > tailOffset + locatorAt)
    throw new CriaError("bad-file", `${source.name}: the zip64 end record at byte ${end} passes its locator`);
  const record = viewOf(await source.read(end, ZIP64_END_BYTES));
  if (record.getUint32(0, true) !== ZIP64_END)
    throw new CriaError("bad-file", `${source.name}: expected a zip64 end record at byte ${end}`);
  return {
    entryCount: readUint64(record, 32),
    byteLength: readUint64(record, 40),
    byteOffset: readUint64(record, 48),
    end,
  };
}

function parseDirectory(bytes: Uint8Array, directory: Directory, source: ByteSource): Record[] {
  const view = viewOf(bytes);
  const decoder = new TextDecoder();
  const records: Record[] = [];
  let at = 0;
  for (let i = 0; i < directory.entryCount; i++) {
    const where = `${source.name}: zip directory entry ${i} at byte ${directory.byteOffset + at}`;
    if (at + CENTRAL_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL)
      throw new CriaError("bad-file", `${where}: expected a directory record`);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + CENTRAL_BYTES + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) throw new CriaError("bad-file", `${where}: passes the end of the directory`);
    const extraAt = at + CENTRAL_BYTES + nameLength;
    const name = decoder.decode(bytes.subarray(at + CENTRAL_BYTES, extraAt));
    const method = view.getUint16(at + 10, true);
    if (method !== 0 || (view.getUint16(at + 8, true) & 1) !== 0)
      throw new CriaError(
        "unsupported",
        `${where}: "${name}" is compressed or encrypted (method ${method}); PyTorch stores entries plainly`,
      );
    const zip64 = new Zip64Field(view, extraAt, extraLength, where);
    // The order of these three is that of the zip64 field.
    const byteLength = zip64.take(view.getUint32(at + 24, true));
    const storedLength = zip64.take(view.getUint32(at + 20, true));
    const headerOffset = zip64.take(view.getUint32(at + 42, true));
    if (storedLength !== byteLength)
      throw new CriaError(
        "bad-file",
        `${where}: "${name}" is stored, but has sizes ${storedLength} and ${byteLength}`,
      );
    records.push({ name, byteLength, headerOffset });
    at = next;
  }
  return records;
}

/** Extra field 1: the values of 64 bits for those of the record's fields that are all ones, in order. */
class Zip64Field {
  readonly #view: DataView;
  readonly #where: string;
  #at = 0;
  #end = 0;

  constructor(view: DataView, extraAt: number, extraLength: number, where: string) {
    this.#view = view;
    this.#where = where;
    const extraEnd = extraAt + extraLength;
    for (let at = extraAt; at + 4 <= extraEnd; at += 4 + view.getUint16(at + 2, true))
      if (view.getUint16(at, true) === 1) {
        this.#at = at + 4;
        this.#end = Math.min(extraEnd, this.#at + view.getUint16(at + 2, true));
        return;
      }
  }

  take(value: number): number {
    if (value !== IN_ZIP64) return value;
    if (this.#at + 8 > this.#end)
      throw new CriaError("bad-file", `${this.#where}: its zip64 field is missing`);
    const result = readUint64(this.#view, this.#at);
    this.#at += 8;
    return result;
  }
}

/** The local header repeats the name, and its extra field (PyTorch's padding) tells where the bytes begin. */
async function locate(source: ByteSource, record: Record, limit: number): Promise<ZipEntry> {
  const { name, byteLength, headerOffset } = record;
  const where = `${source.name}: zip entry "${name}" at byte ${headerOffset}`;
  if (headerOffset + LOCAL_BYTES + byteLength > limit)
    throw new CriaError(
      "bad-file",
      `${where}: its ${byteLength} bytes run into what follows at byte ${limit}`,
    );
  const header = viewOf(await source.read(headerOffset, LOCAL_BYTES));
  if (header.getUint32(0, true) !== LOCAL)
    throw new CriaError("bad-file", `${where}: expected a local header`);
  const byteOffset = headerOffset + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (byteOffset + byteLength > limit)
    throw new CriaError(
      "bad-file",
      `${where}: its ${byteLength} bytes run into what follows at byte ${limit}`,
    );
  return { name, byteOffset, byteLength };
}

/** Values beyond 2⁵³ lose digits, but then they exceed any file anyway. */
function readUint64(view: DataView, byteOffset: number): number {
  return Number(view.getBigUint64(byteOffset, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
