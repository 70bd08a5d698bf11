/**
 * The tokens of a data set in one file, read by ranges, so that training needs memory for a batch and not for the data.
 *
 *   tokens      a word each, of 2 bytes for vocabularies up to 32,768 ids and else of 4: the id, and in the highest bit
 *               whether it is learned; zeros up to a multiple of 4 bytes
 *   documents   for each: u32 tokens, u32 of them learned, u32 characters that are learned, u32 hash of its ids,
 *               u32 place of the first learned token
 *   footer      JSON: what the cache was made of, counts, a checksum; then its length as u32 and "CRIATOK3"
 *
 * A preference is two documents, the chosen answer and then the rejected one.
 *
 * Flow: build-token-cache.ts → file → readCache → dataset.ts.
 */
import type { ByteSource } from "../../files/byte-source.ts";
import { checksumOf } from "../../shared/checksum.ts";

export const cacheMagic = "CRIATOK3";
/** Numbers of the table of documents. */
export const documentWords = 5;
const tailBytes = 12;
/** Bytes that are checked at a time. */
const checkLength = 4 << 20;

export interface TokenCache {
  readonly documentCount: number;
  /** Whether documents are pairs of a chosen and a rejected answer. */
  readonly pairs: boolean;
  readonly skipped: Skipped;
  /** Tokens of a document. */
  tokensOf(document: number): number;
  /** How many of them are learned. */
  learnedOf(document: number): number;
  /** Characters of what a document teaches. */
  charactersOf(document: number): number;
  /** Equal for equal texts. */
  hashOf(document: number): number;
  /** Place of the first learned token, at least 1. */
  firstLearnedOf(document: number): number;
  /** The ids of a document and which of them are learned; those from `first` on, at most `count`. */
  read(document: number, first?: number, count?: number): Promise<CachedTokens>;
  close(): Promise<void>;
}

export interface CachedTokens {
  readonly ids: Int32Array;
  /** 1 where the id is learned. */
  readonly learned: Uint8Array;
}

/** Records that nothing could be learned from. */
export interface Skipped {
  readonly count: number;
  /** Where the first of them stands, and why; empty without one. */
  readonly first: string;
}

export interface CacheFooter {
  /** Of the data file, the tokenizer and the chat format: another one makes the cache stale. */
  readonly fingerprint: string;
  readonly documentCount: number;
  readonly tokenCount: number;
  readonly pairs: boolean;
  /** 2 or 4. */
  readonly wordBytes: number;
  readonly skipped: Skipped;
  /** Of all that comes before. */
  readonly checksum: number;
}

/** The cache in a file; undefined when it is of other data or damaged. */
export async function readCache(source: ByteSource, fingerprint: string): Promise<TokenCache | undefined> {
  const end = source.byteLength - tailBytes;
  const tail = await source.read(end, tailBytes);
  if (new TextDecoder().decode(tail.subarray(4)) !== cacheMagic) return undefined;
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  const footer = JSON.parse(new TextDecoder().decode(await source.read(end - length, length))) as CacheFooter;
  const { documentCount, tokenCount, wordBytes } = footer;
  const tokenBytes = Math.ceil((wordBytes * tokenCount) / 4) * 4;
  const tableBytes = 4 * documentWords * documentCount;
  if (footer.fingerprint !== fingerprint || tokenBytes + tableBytes + length !== end) return undefined;
  if ((await checksumOfRange(source, tokenBytes + tableBytes)) !== footer.checksum) return undefined;
  const table = await source.read(tokenBytes, tableBytes);
  return cacheOver(source, footer, new Uint32Array(table.buffer, table.byteOffset, tableBytes / 4));
}

async function checksumOfRange(source: ByteSource, byteLength: number): Promise<number> {
  let sum = checksumOf(new Uint8Array(0));
  for (let at = 0; at < byteLength; at += checkLength)
    sum = checksumOf(await source.read(at, Math.min(checkLength, byteLength - at)), sum);
  return sum;
}

function cacheOver(source: ByteSource, footer: CacheFooter, table: Uint32Array): TokenCache {
  const { documentCount, wordBytes, pairs, skipped } = footer;
  const mark = wordBytes === 2 ? 0x8000 : 0x80000000;
  // Where each document starts, in tokens.
  const starts = new Float64Array(documentCount + 1);
  for (let i = 0; i < documentCount; i++) starts[i + 1] = starts[i] + table[documentWords * i];
  const numberOf = (index: number) => (document: number) => table[documentWords * document + index];
  return {
    documentCount,
    pairs,
    skipped,
    tokensOf: numberOf(0),
    learnedOf: numberOf(1),
    charactersOf: numberOf(2),
    hashOf: numberOf(3),
    firstLearnedOf: numberOf(4),
    async read(document, first = 0, count = Number.POSITIVE_INFINITY) {
      const length = Math.min(count, table[documentWords * document] - first);
      const bytes = await source.read(wordBytes * (starts[document] + first), wordBytes * length);
      const words =
        wordBytes === 2
          ? new Uint16Array(bytes.buffer, bytes.byteOffset, length)
          : new Uint32Array(bytes.buffer, bytes.byteOffset, length);
      const ids = new Int32Array(length);
      const learned = new Uint8Array(length);
      for (let i = 0; i < length; i++) {
        learned[i] = words[i] >= mark ? 1 : 0;
        ids[i] = words[i] & (mark - 1);
      }
      return { ids, learned };
    },
    close: () => source.close(),
  };
}
