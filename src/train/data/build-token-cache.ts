/**
 * Makes the token cache of a data file, record by record; memory is needed for a record and the table of documents.
 *
 * Flow: records.ts → example.ts → encode.ts → buildTokenCache → file (layout in cache-file.ts).
 */
import type { ByteSink, FileSystem } from "../../files/byte-source.ts";
import { checksumOf } from "../../shared/checksum.ts";
import { CriaError, throwIfAborted } from "../../shared/errors.ts";
import { type CacheFooter, cacheMagic, documentWords } from "./cache-file.ts";
import { type EncodedText, type Encoder, encodeExample } from "./encode.ts";
import { type Example, exampleOf } from "./example.ts";
import { type DataRecord, readRecords, type TextFormat } from "./records.ts";

export interface BuildOptions extends Encoder {
  readonly fingerprint: string;
  /** How plain text is cut. */
  readonly text?: TextFormat | undefined;
  readonly signal?: AbortSignal;
  /** Called with the documents that are done. */
  readonly onProgress?: (documents: number) => void;
}

/** Tokens written at a time; even, so that pieces of words of 2 bytes end at multiples of 4. */
const pieceLength = 1 << 18;

/** @throws {CriaError} "bad-file" for the data, "bad-input" when it holds no example or mixes preferences with others */
export async function buildTokenCache(
  dataPath: string,
  cachePath: string,
  files: FileSystem,
  options: BuildOptions,
): Promise<void> {
  const sink = await files.create(cachePath);
  try {
    const writer = new CacheWriter(sink, options.tokenizer.vocabularySize <= 0x8000 ? 2 : 4);
    const skipped = { count: 0, first: "" };
    let kind: Example["kind"] | undefined;
    for await (const record of readRecords(dataPath, files, options)) {
      throwIfAborted(options.signal);
      const found = textsOf(record, options);
      if ("reason" in found) {
        if (skipped.count++ === 0) skipped.first = `${record.where}: ${found.reason}`;
        continue;
      }
      if ((kind ?? found.kind) !== found.kind && (kind === "preference" || found.kind === "preference"))
        throw new CriaError("bad-input", `${record.where}: preferences and other examples in one file`);
      kind = found.kind;
      for (const text of found.texts) writer.add(text);
      if (await writer.flush(pieceLength)) options.onProgress?.(writer.documentCount);
    }
    if (writer.documentCount === 0)
      throw new CriaError(
        "bad-input",
        `${dataPath}: holds no example; expected at least one record with a text` +
          (skipped.count > 0 ? ` (${skipped.count} records were left out; ${skipped.first})` : ""),
      );
    await writer.finish({ fingerprint: options.fingerprint, pairs: kind === "preference", skipped });
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

type Found =
  | { readonly kind: Example["kind"]; readonly texts: readonly EncodedText[] }
  | { readonly reason: string };

/** What a record gives to the cache, or why it gives nothing. */
function textsOf(record: DataRecord, encoder: Encoder): Found {
  const example = exampleOf(record);
  if (!example) return { reason: "nothing to learn: no text, no answer, or one that was disliked" };
  let texts: readonly EncodedText[];
  try {
    texts = encodeExample(example, encoder, record.where);
  } catch (error) {
    // A conversation that the format cannot hold, such as one that the assistant begins.
    if (error instanceof CriaError && error.code === "bad-input" && example.kind !== "text")
      return { reason: error.message };
    throw error;
  }
  const isUsable = texts.every(({ ids, learned }) => ids.length >= 2 && learned.includes(true, 1));
  return isUsable ? { kind: example.kind, texts } : { reason: "no token to learn" };
}

/** Writes words, then the table, then the footer. */
class CacheWriter {
  readonly #sink: ByteSink;
  readonly #wordBytes: 2 | 4;
  readonly #table: number[] = [];
  #words: number[] = [];
  #tokenCount = 0;
  #checksum = checksumOf(new Uint8Array(0));

  constructor(sink: ByteSink, wordBytes: 2 | 4) {
    this.#sink = sink;
    this.#wordBytes = wordBytes;
  }

  get documentCount(): number {
    return this.#table.length / documentWords;
  }

  add({ ids, learned, characters }: EncodedText): void {
    const mark = this.#wordBytes === 2 ? 0x8000 : 0x80000000;
    let learnedCount = 0;
    for (let i = 0; i < ids.length; i++) {
      this.#words.push(learned[i] ? ids[i] + mark : ids[i]);
      if (learned[i]) learnedCount++;
    }
    // Nothing comes before the first token that could predict it.
    this.#table.push(ids.length, learnedCount, characters, hashOf(ids), learned.indexOf(true, 1));
    this.#tokenCount += ids.length;
  }

  /** Writes what waits in whole pieces. */
  async flush(length: number): Promise<boolean> {
    if (this.#words.length < length) return false;
    const count = Math.floor(this.#words.length / length) * length;
    const words = this.#words.slice(0, count);
    this.#words = this.#words.slice(count);
    await this.#write(this.#wordBytes === 2 ? Uint16Array.from(words) : Uint32Array.from(words));
    return true;
  }

  async finish(about: Pick<CacheFooter, "fingerprint" | "pairs" | "skipped">): Promise<void> {
    if (this.#wordBytes === 2 && this.#words.length % 2 === 1) this.#words.push(0);
    if (this.#words.length > 0) await this.flush(this.#words.length);
    await this.#write(Uint32Array.from(this.#table));
    const footer: CacheFooter = {
      ...about,
      documentCount: this.documentCount,
      tokenCount: this.#tokenCount,
      wordBytes: this.#wordBytes,
      checksum: this.#checksum,
    };
    const text = new TextEncoder().encode(JSON.stringify(footer));
    await this.#sink.write(text);
    await this.#sink.write(new Uint8Array(Uint32Array.of(text.length).buffer));
    await this.#sink.write(new TextEncoder().encode(cacheMagic));
  }

  async #write(values: Uint16Array | Uint32Array): Promise<void> {
    const bytes = new Uint8Array(values.buffer, 0, values.byteLength);
    this.#checksum = checksumOf(bytes, this.#checksum);
    await this.#sink.write(bytes);
  }
}

/** FNV-1a over the ids. */
function hashOf(ids: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193);
  return hash >>> 0;
}
