/** A file that a person chose, behind the interface that readers of model files use. */
import { allocateBytes, type ByteSource, checkRange, type FileSystem } from "../../files/byte-source.ts";
import { CriaError } from "../../shared/errors.ts";

function blobSource(blob: Blob, name: string): ByteSource {
  return {
    name,
    byteLength: blob.size,
    async read(byteOffset, byteLength) {
      checkRange(name, blob.size, byteOffset, byteLength);
      const bytes = allocateBytes(name, byteLength);
      try {
        bytes.set(new Uint8Array(await blob.slice(byteOffset, byteOffset + byteLength).arrayBuffer()));
      } catch (cause) {
        throw new CriaError("bad-file", `${name}: cannot be read any more; was it changed or moved?`, {
          cause,
        });
      }
      return bytes;
    },
    async close() {},
  };
}

/** A folder that holds nothing else. */
export function blobFiles(blob: Blob, name: string): FileSystem {
  return {
    async open(path) {
      if (path !== name) throw new CriaError("not-found", `${path}: no such file`);
      return blobSource(blob, name);
    },
    async create(path) {
      throw new CriaError("unsupported", `${path}: pages write no files`);
    },
    list: async () => undefined,
    exists: async (path) => path === name,
    join: (...parts) => parts.join("/"),
    folderOf: () => "",
    baseName: (path) => path,
  };
}
