/**
 * The tokens of a data set in one file, made once and read by ranges, so that training needs memory for a batch and not
 * for the data.
 *
 *   tokens      u32 each: the id, and in the highest bit whether it is learned
 *   documents   for each: u32 tokens, u32 characters that are learned, u32 hash of its text
 *   footer      JSON: what the cache was made of, counts; then its length as u32 and "CRIATOKS"
 *
 * A preference is two documents, the chosen answer and then the rejected one.
 *
 * Flow: records.ts → example.ts → encode.ts → buildTokenCache → openTokenCache → dataset.ts.
 */
import type { ByteSource, FileSystem } from "../../files/byte-source.ts";
import { CriaError, throwIfAborted } from "../../shared/errors.ts";
import { type EncodedText, type Encoder, encodeExample } from "./encode.ts";
import { type Example, exampleOf } from "./example.ts";
import { readRecords } from "./records.ts";

const MAGIC = "CRIATOKS";
const LEARNED = 0x80000000;
const DOCUMENT_BYTES = 12;

export interface TokenCache {
  readonly documentCount: number;
  /** Whether documents are pairs of a chosen and a rejected answer. */
  readonly pairs: boolean;
  /** Tokens of a document. */
  tokensOf(document: number): number;
  /** Characters of what a document teaches. */
  charactersOf(document: number): number;
  /** Equal for equal texts. */
  hashOf(document: number): number;
  /** The ids of a document and which of them are learned. */
  read(document: number): Promise<{ readonly ids: Int32Array; readonly learned: Uint8Array }>;
  close(): Promise<void>;
}

interface Footer {
  /** Of the data file, the tokenizer and the chat format: another one makes the cache stale. */
  readonly fingerprint: string;
  readonly documentCount: number;
  readonly tokenCount: number;
  readonly pairs: boolean;
}

export interface BuildOptions extends Encoder {
  readonly fingerprint: string;
  readonly signal?: AbortSignal;
  /** Called with the documents that are done. */
  readonly onProgress?: (documents: number) => void;
}

/**
 * Opens the cache at `cachePath`, making it of the data file first when it is missing, stale or damaged.
 *
 * @throws {CriaError} "bad-file" for the data, "bad-input" when it holds no example or mixes preferences with others
 */
export async function openTokenCache(
  dataPath: string,
  cachePath: string,
  files: FileSystem,
  options: BuildOptions,
): Promise<TokenCache> {
  const known = (await files.exists(cachePath))
    ? await tryOpen(cachePath, files, options.fingerprint)
    : undefined;
  if (known) return known;
  await build(dataPath, cachePath, files, options);
  const made = await tryOpen(cachePath, files, options.fingerprint);
  if (!made) throw new CriaError("bad-file", `${cachePath}: cannot be read back`);
  return made;
}

/** Bytes written at a time. */
const PIECE_WORDS = 1 << 18;

async function build(
  dataPath: string,
  cachePath: string,
  files: FileSystem,
  options: BuildOptions,
): Promise<void> {
  const sink = await files.create(cachePath);
  const documents: number[] = [];
  let words: number[] = [];
  let tokenCount = 0;
  let kind: Example["kind"] | undefined;
  const flush = async (): Promise<void> => {
    const piece = Uint32Array.from(words);
    words = [];
    await sink.write(new Uint8Array(piece.buffer));
  };
  try {
    for await (const record of readRecords(dataPath, files)) {
      throwIfAborted(options.signal);
      const example = exampleOf(record);
      if ((kind ?? example.kind) !== example.kind && (kind === "preference" || example.kind === "preference"))
        throw new CriaError("bad-input", `${record.where}: preferences and other examples in one file`);
      kind = example.kind;
      for (const text of encodeExample(example, options, record.where)) {
        if (text.ids.length < 2) continue;
        for (let i = 0; i < text.ids.length; i++)
          words.push(text.learned[i] ? (text.ids[i] | LEARNED) >>> 0 : text.ids[i]);
        documents.push(text.ids.length, text.characters, hashOf(text));
        tokenCount += text.ids.length;
      }
      if (words.length >= PIECE_WORDS) {
        await flush();
        options.onProgress?.(documents.length / 3);
      }
    }
    if (documents.length === 0)
      throw new CriaError(
        "bad-input",
        `${dataPath}: holds no example; expected at least one record with a text`,
      );
    await flush();
    await sink.write(new Uint8Array(Uint32Array.from(documents).buffer));
    const footer: Footer = {
      fingerprint: options.fingerprint,
      documentCount: documents.length / 3,
      tokenCount,
      pairs: kind === "preference",
    };
    const text = new TextEncoder().encode(JSON.stringify(footer));
    await sink.write(text);
    await sink.write(new Uint8Array(Uint32Array.of(text.length).buffer));
    await sink.write(new TextEncoder().encode(MAGIC));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** FNV-1a over the ids. */
function hashOf({ ids }: EncodedText): number {
  let hash = 0x811c9dc5;
  for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193);
  return hash >>> 0;
}

/** Undefined for a cache of other data, or one that is damaged: it is made anew then. */
async function tryOpen(
  path: string,
  files: FileSystem,
  fingerprint: string,
): Promise<TokenCache | undefined> {
  const source = await files.open(path);
  const cache = await readCache(source, fingerprint).catch(() => undefined);
  if (!cache) await source.close();
  return cache;
}

async function readCache(source: ByteSource, fingerprint: string): Promise<TokenCache | undefined> {
  const end = source.byteLength;
  const tail = await source.read(end - 12, 12);
  if (new TextDecoder().decode(tail.subarray(4)) !== MAGIC) return undefined;
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  const footer = JSON.parse(new TextDecoder().decode(await source.read(end - 12 - length, length))) as Footer;
  const { documentCount, tokenCount, pairs } = footer;
  const bytes = 4 * tokenCount + DOCUMENT_BYTES * documentCount + length + 12;
  if (footer.fingerprint !== fingerprint || bytes !== end) return undefined;
  const table = await source.read(4 * tokenCount, DOCUMENT_BYTES * documentCount);
  const documents = new Uint32Array(table.buffer, table.byteOffset, 3 * documentCount);
  // Where each document starts, in tokens.
  const starts = new Float64Array(documentCount + 1);
  for (let i = 0; i < documentCount; i++) starts[i + 1] = starts[i] + documents[3 * i];
  if (starts[documentCount] !== tokenCount) return undefined;
  return {
    documentCount,
    pairs,
    tokensOf: (document) => documents[3 * document],
    charactersOf: (document) => documents[3 * document + 1],
    hashOf: (document) => documents[3 * document + 2],
    async read(document) {
      const count = documents[3 * document];
      const piece = await source.read(4 * starts[document], 4 * count);
      const words = new Uint32Array(piece.buffer, piece.byteOffset, count);
      return {
        ids: Int32Array.from(words, (word) => word & ~LEARNED),
        learned: Uint8Array.from(words, (word) => word >>> 31),
      };
    },
    close: () => source.close(),
  };
}
