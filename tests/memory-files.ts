/** A file system in memory; paths are `folder/name`. */
import { type FileSystem, memorySource } from "../src/files/byte-source.ts";
import { CriaError } from "../src/shared/errors.ts";
import { memorySink } from "./memory-sink.ts";

export function memoryFiles(initial: Readonly<Record<string, Uint8Array | string>> = {}): FileSystem & {
  readonly contents: Map<string, Uint8Array>;
} {
  const encode = (value: Uint8Array | string) =>
    typeof value === "string" ? new TextEncoder().encode(value) : value;
  const contents = new Map(Object.entries(initial).map(([path, value]) => [path, encode(value)]));
  return {
    contents,
    async open(path) {
      const bytes = contents.get(path);
      if (!bytes) throw new CriaError("not-found", `${path}: no such file`);
      return memorySource(bytes, path);
    },
    async create(path) {
      const sink = memorySink();
      return {
        ...sink,
        async close() {
          contents.set(path, sink.bytes());
        },
      };
    },
    async list(path) {
      const names = [...contents.keys()].filter((name) => name.startsWith(`${path}/`));
      return names.length === 0 ? undefined : names.map((name) => name.slice(path.length + 1)).sort();
    },
    async exists(path) {
      return contents.has(path);
    },
    join: (...parts) => parts.filter((part) => part !== "").join("/"),
    folderOf: (path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))),
    baseName: (path) => path.slice(path.lastIndexOf("/") + 1),
  };
}
