/** Copies of a GGUF with other metadata, for tests of what files say. */
import { openGguf } from "../src/files/gguf/read.ts";
import { type GgufEntry, writeGguf } from "../src/files/gguf/write.ts";
import type { MetadataValue } from "../src/files/stored-tensor.ts";
import { nodeFiles } from "../src/platform/node/file-system.ts";

export interface GgufChanges {
  /** Values of keys that are there; undefined takes a key away. */
  readonly metadata?: Readonly<Record<string, MetadataValue | undefined>>;
  /** Without its tensors. */
  readonly bare?: boolean;
}

export async function copyGguf(
  from: string,
  to: string,
  { metadata = {}, bare }: GgufChanges,
): Promise<void> {
  const file = await openGguf(await nodeFiles.open(from));
  const entries = [...file.metadata].flatMap(([key, value]): GgufEntry[] => {
    const written = key in metadata ? metadata[key] : value;
    const type = file.types.get(key);
    return written === undefined || type === undefined ? [] : [{ key, type, value: written }];
  });
  const sink = await nodeFiles.create(to);
  await writeGguf(sink, { entries, tensors: bare ? [] : [...file.tensors.values()] });
  await sink.close();
  await file.close();
}
