/** A file system in memory: a path to each file's bytes. Folders are what the paths imply. */
import { type ByteSource, type FileSystem, memorySource } from "../../src/files/byte-source.ts";
import { CriaError } from "../../src/shared/errors.ts";

export interface MemoryFiles extends FileSystem {
  /** How many sources were opened and not closed. */
  openCount(): number;
}

export function memoryFiles(contents: Readonly<Record<string, Uint8Array | string>>): MemoryFiles {
  const bytesOf = (path: string): Uint8Array | undefined => {
    const content = contents[path];
    return typeof content === "string" ? new TextEncoder().encode(content) : content;
  };
  let openCount = 0;
  return {
    openCount: () => openCount,
    async open(path): Promise<ByteSource> {
      const bytes = bytesOf(path);
      if (!bytes) throw new CriaError("not-found", `${path} does not exist`);
      openCount++;
      return {
        ...memorySource(bytes, path),
        async close() {
          openCount--;
        },
      };
    },
    create(path) {
      throw new CriaError("unsupported", `${path}: these files can only be read`);
    },
    async list(path) {
      const names = Object.keys(contents)
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => name.slice(path.length + 1).split("/")[0] as string);
      return names.length > 0 ? [...new Set(names)].sort() : undefined;
    },
    async exists(path) {
      return contents[path] !== undefined;
    },
    join: (...parts) => parts.join("/"),
    folderOf: (path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))),
    baseName: (path) => path.slice(path.lastIndexOf("/") + 1),
  };
}
