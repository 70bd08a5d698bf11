/**
 * The text of a file in pieces, in memory that does not grow with the file: UTF-8, gzipped where its name ends in .gz.
 *
 * Flow: ByteSource → textChunks → records.ts.
 */
import type { ByteSource } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";

const blockLength = 1 << 20;

/** @throws {CriaError} "bad-file" that names the line which is no UTF-8, or says that the gzip data are damaged. */
export async function* textChunks(source: ByteSource): AsyncIterable<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let line = 1;
  let rest = new Uint8Array(0);
  let isFirst = true;
  for await (const block of source.name.endsWith(".gz") ? unzipped(source) : blocks(source)) {
    const bytes = joined(rest, block);
    const end = lastCharacterEnd(bytes);
    rest = bytes.slice(end);
    const text = decoded(decoder, bytes.subarray(0, end), source.name, line);
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) line++;
    // A byte-order mark at the start is no part of the text.
    yield isFirst && text.startsWith("\ufeff") ? text.slice(1) : text;
    isFirst = false;
  }
  if (rest.length > 0) yield decoded(decoder, rest, source.name, line);
}

async function* blocks(source: ByteSource): AsyncIterable<Uint8Array> {
  for (let at = 0; at < source.byteLength; at += blockLength)
    yield await source.read(at, Math.min(blockLength, source.byteLength - at));
}

async function* unzipped(source: ByteSource): AsyncIterable<Uint8Array> {
  let at = 0;
  const compressed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (at >= source.byteLength) return controller.close();
      const block = await source.read(at, Math.min(blockLength, source.byteLength - at));
      at += block.length;
      controller.enqueue(Uint8Array.from(block));
    },
  });
  const reader = compressed.pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    // Node's own words, such as "unexpected end of file", are one error further in.
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const reason = inner instanceof Error ? inner.message : String(inner);
    throw new CriaError("bad-file", `${source.name}: damaged gzip data: ${reason}`, { cause });
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function joined(first: Uint8Array<ArrayBuffer>, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** Where the last whole character of a block ends. */
function lastCharacterEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function decoded(decoder: TextDecoder, bytes: Uint8Array, name: string, firstLine: number): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    let line = firstLine;
    for (let start = 0; start < bytes.length; line++) {
      const found = bytes.indexOf(0x0a, start);
      const end = found < 0 ? bytes.length : found + 1;
      try {
        decoder.decode(bytes.subarray(start, end));
      } catch {
        break;
      }
      start = end;
    }
    throw new CriaError("bad-file", `${name}, line ${line}: not UTF-8 text`, {
      cause,
    });
  }
}
