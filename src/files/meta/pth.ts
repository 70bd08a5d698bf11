/**
 * The tensors of one `.pth` file as `torch.save` writes it: a zip archive of `<name>/data.pkl` (a pickled dict of
 * tensor names), `<name>/data/<key>` (each storage's bytes) and `<name>/byteorder`.
 *
 * Flow: zip.ts (ranges) → pickle.ts (which tensor views which storage) → openPth → merge.ts.
 * Source: torch/serialization.py.
 */
import { CriaError } from "../../shared/errors.ts";
import { blockBytes, rowBytes } from "../../tensor/format.ts";
import type { ByteSource } from "../byte-source.ts";
import { checkRows } from "../check-rows.ts";
import type { StoredTensor } from "../stored-tensor.ts";
import { unpickle } from "./pickle.ts";
import { isKind, type TensorReference } from "./pickle-values.ts";
import { readZip, type ZipEntry } from "./zip.ts";

/** Llama 2 70B's is below 200 KB. */
const LARGEST_PICKLE_BYTES = 8 << 20;

/**
 * Finds the tensors of a file by their names; `rope.freqs`, which follows from the settings, is left out. Rows are
 * read on demand.
 *
 * @throws {CriaError} "bad-file" or "unsupported", with the byte or the tensor's name.
 */
export async function openPth(source: ByteSource): Promise<ReadonlyMap<string, StoredTensor>> {
  await checkKind(source);
  const entries = await readZip(source);
  const root = rootOf(entries, source.name);
  await checkByteOrder(source, entries.get(`${root}byteorder`));
  const pickle = entries.get(`${root}data.pkl`) as ZipEntry;
  if (pickle.byteLength > LARGEST_PICKLE_BYTES)
    throw new CriaError(
      "bad-file",
      `${source.name}: data.pkl has ${pickle.byteLength} bytes; expected at most ${LARGEST_PICKLE_BYTES}`,
    );
  const bytes = await source.read(pickle.byteOffset, pickle.byteLength);
  const value = unpickle(bytes, `${source.name}: data.pkl`);
  if (!isKind(value, "dict"))
    throw new CriaError("bad-file", `${source.name}: data.pkl holds no dict of tensors`);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, reference] of value.entries) {
    if (typeof name !== "string" || !isKind(reference, "tensor"))
      throw new CriaError(
        "unsupported",
        `${source.name}: data.pkl has an entry ${JSON.stringify(String(name)).slice(0, 80)} that is no named tensor`,
      );
    if (name === "rope.freqs") continue;
    tensors.set(name, storedTensor(source, entries, root, name, reference));
  }
  return tensors;
}

/** Tells what is not a zip archive apart, for a helpful message. */
async function checkKind(source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(2, source.byteLength));
  if (start[0] === 0x50 && start[1] === 0x4b) return;
  // A bare pickle begins with its PROTO opcode.
  if (start[0] === 0x80)
    throw new CriaError(
      "unsupported",
      `${source.name}: written in PyTorch's format from before version 1.6; convert it in Python with ` +
        `torch.save(torch.load(path, map_location="cpu"), path)`,
    );
  throw new CriaError(
    "bad-file",
    `${source.name}: not a PyTorch checkpoint; expected a zip archive ("PK" at byte 0)`,
  );
}

/** The folder in the archive that holds everything, with its slash. */
function rootOf(entries: ReadonlyMap<string, ZipEntry>, fileName: string): string {
  const pickles = [...entries.keys()].filter((name) => name.split("/")[1] === "data.pkl");
  if (pickles.length !== 1)
    throw new CriaError(
      "bad-file",
      `${fileName}: a PyTorch archive has one data.pkl in one folder, but this has ${pickles.length}`,
    );
  return (pickles[0] as string).slice(0, -"data.pkl".length);
}

async function checkByteOrder(source: ByteSource, entry: ZipEntry | undefined): Promise<void> {
  // Absent before PyTorch 2.1, and little then.
  if (!entry) return;
  const order = new TextDecoder().decode(await source.read(entry.byteOffset, Math.min(entry.byteLength, 8)));
  if (order !== "little")
    throw new CriaError(
      "unsupported",
      `${source.name}: byte order ${JSON.stringify(order)}; Cria reads "little"`,
    );
}

function storedTensor(
  source: ByteSource,
  entries: ReadonlyMap<string, ZipEntry>,
  root: string,
  name: string,
  reference: TensorReference,
): StoredTensor {
  const where = `${source.name}: tensor ${JSON.stringify(name).slice(0, 120)}`;
  const { storage, format } = reference;
  const entry = entries.get(`${root}data/${storage.key}`);
  if (!entry)
    throw new CriaError("bad-file", `${where}: its storage data/${storage.key.slice(0, 80)} is missing`);
  const expected = storage.count * (storage.format ? blockBytes(storage.format) : 1);
  if (entry.byteLength !== expected)
    throw new CriaError(
      "bad-file",
      `${where}: its storage has ${entry.byteLength} bytes; expected ${expected}`,
    );
  const { rows, columns, stride } = shapeOf(reference, where);
  const valueBytes = blockBytes(format);
  if ((reference.offset + (rows - 1) * stride + columns) * valueBytes > entry.byteLength)
    throw new CriaError(
      "bad-file",
      `${where}: [${rows}, ${columns}] from value ${reference.offset} passes the end of its storage of ${entry.byteLength} bytes`,
    );
  const byteOffset = entry.byteOffset + reference.offset * valueBytes;
  return {
    name,
    format,
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      checkRows({ name, rows }, rowFirst, rowCount);
      const bytesPerRow = rowBytes(format, columns);
      if (stride === columns || rowCount < 2)
        return source.read(byteOffset + rowFirst * stride * valueBytes, rowCount * bytesPerRow);
      const bytes = new Uint8Array(rowCount * bytesPerRow);
      for (let i = 0; i < rowCount; i++) {
        const row = await source.read(byteOffset + (rowFirst + i) * stride * valueBytes, bytesPerRow);
        bytes.set(row, i * bytesPerRow);
      }
      return bytes;
    },
  };
}

/** Rows, columns and values from row to row of a vector or a matrix. */
function shapeOf(
  { sizes, strides }: TensorReference,
  where: string,
): { rows: number; columns: number; stride: number } {
  const columns = sizes.at(-1) ?? 0;
  const rows = sizes.length === 2 ? (sizes[0] as number) : 1;
  if (sizes.length < 1 || sizes.length > 2)
    throw new CriaError("unsupported", `${where}: ${sizes.length} dimensions; expected 1 or 2`);
  if (rows < 1 || columns < 1)
    throw new CriaError("bad-file", `${where}: an empty tensor [${rows}, ${columns}]`);
  const stride = rows === 1 ? columns : (strides[0] as number);
  // Rows that overlap or are transposed: nobody saves weights so, and a small storage could claim to be a huge tensor.
  if ((columns > 1 && strides.at(-1) !== 1) || stride < columns)
    throw new CriaError(
      "unsupported",
      `${where}: strides (${strides.join(", ")}) for [${rows}, ${columns}]; save it as tensor.contiguous()`,
    );
  return { rows, columns, stride };
}
