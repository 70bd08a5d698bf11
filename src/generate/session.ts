/**
 * Sessions: what a model has read and made of a text, kept in a file, so that a later run goes on without reading again.
 *
 *   safetensors   __metadata__ { format: "cria-session", model: SHA-256, adapters, cache: formats, ids: JSON, checksum }
 *                 layers.<n>.keys, layers.<n>.values   [tokens, key/value heads · head length] F16,
 *                 or U8: such rows in Q8_0, as bytes
 *
 * A session fits only the model that made it, so the model's hash is checked, and only the same adapters and formats. The
 * checksum is that of the ids and of all rows: damage to either would give another text without a word.
 *
 * Flow: Sequence → saveSession → file → restoreSession → Sequence.
 */
import { type FileSystem, writeWhole } from "../files/byte-source.ts";
import { readSafetensors } from "../files/safetensors/read.ts";
import { writeSafetensors } from "../files/safetensors/write.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { PAGE_LENGTH } from "../model/page-table.ts";
import { checksumOf } from "../shared/checksum.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import type { Sequence } from "./engine.ts";

const FORMAT = "cria-session";

/** Writes what the sequence holds; the file appears whole or not at all. */
export async function saveSession(
  path: string,
  files: FileSystem,
  sequence: Sequence,
  modelHash: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tensors = sequence.tensors();
  const metadata = new Map([
    ["format", FORMAT],
    ["model", modelHash],
    ["adapters", sequence.adapters],
    ["cache", formatText(sequence)],
    ["ids", JSON.stringify(sequence.ids)],
    ["checksum", `${await checksumOfRows(tensors, checksumOfIds(sequence.ids), signal)}`],
  ]);
  await writeWhole(files, path, (sink) =>
    writeSafetensors(sink, {
      ...{ metadata, tensors, vectors: new Set(), packedAsBytes: true },
      ...(signal ? { signal } : {}),
    }),
  );
}

/**
 * Fills a sequence from a file. It holds nothing when this throws.
 *
 * @throws {CriaError} "not-found"; "bad-file" for another file or a damaged one; "bad-input" for a session of another
 * model, other adapters or another cache format; "context-full" when it is longer than the context; "aborted"
 */
export async function restoreSession(
  path: string,
  files: FileSystem,
  sequence: Sequence,
  modelHash: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await files.open(path);
  sequence.truncate(0);
  try {
    const { metadata, tensors } = await readSafetensors(source);
    if (metadata.get("format") !== FORMAT) throw new CriaError("bad-file", `${path}: not a session of Cria`);
    if (metadata.get("model") !== modelHash)
      throw new CriaError("bad-input", `${path}: a session of another model; expected one of ${modelHash}`);
    if (metadata.get("adapters") !== sequence.adapters)
      throw new CriaError(
        "bad-input",
        `${path}: a session with the adapters "${metadata.get("adapters")}"; the model answers with "${sequence.adapters}"`,
      );
    const formats = metadata.get("cache");
    if (formats !== formatText(sequence))
      throw new CriaError(
        "bad-input",
        `${path}: a session whose keys/values are ${formats}; the model keeps ${formatText(sequence)}`,
      );
    const ids = parseIds(path, metadata.get("ids"));
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    let sum = checksumOfIds(ids);
    await sequence.restore(
      ids,
      async (name, byteLength, byteOffset, wholeLength) => {
        throwIfAborted(signal);
        const tensor = byName.get(name);
        if (tensor?.byteLength !== wholeLength)
          throw new CriaError("bad-file", `${path}: expected ${name} with ${wholeLength} bytes`);
        const bytes = await source.read(tensor.byteOffset + byteOffset, byteLength);
        sum = checksumOf(bytes, sum);
        return bytes;
      },
      () => {
        if (metadata.get("checksum") !== `${sum}`)
          throw new CriaError("bad-file", `${path}: damaged: its checksum does not fit what it holds`);
      },
    );
  } catch (error) {
    sequence.truncate(0);
    throw error;
  } finally {
    await source.close();
  }
}

function checksumOfIds(ids: readonly number[]): number {
  return checksumOf(new Uint8Array(Int32Array.from(ids).buffer));
}

/** Goes on with a checksum over rows in the order, and by the pages, in which a sequence is filled. */
async function checksumOfRows(
  tensors: readonly StoredTensor[],
  start: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let sum = start;
  for (const tensor of tensors)
    for (let row = 0; row < tensor.rows; row += PAGE_LENGTH) {
      throwIfAborted(signal);
      sum = checksumOf(await tensor.readRows(row, Math.min(PAGE_LENGTH, tensor.rows - row)), sum);
    }
  return sum;
}

function formatText({ cacheFormats: { keys, values } }: Sequence): string {
  return `${keys}/${values}`;
}

function parseIds(path: string, text = ""): number[] {
  try {
    const ids: unknown = JSON.parse(text);
    if (Array.isArray(ids) && ids.every((id) => Number.isInteger(id))) return ids as number[];
  } catch {
    // Worded below.
  }
  throw new CriaError("bad-file", `${path}: its list of token ids cannot be read`);
}
