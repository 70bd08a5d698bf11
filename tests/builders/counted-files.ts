/** Files in memory that know how many of them are open. */
import type { FileSystem } from "../../src/files/byte-source.ts";
import { memoryFiles } from "../memory-files.ts";

export function countedFiles(
  contents: Readonly<Record<string, Uint8Array | string>>,
): FileSystem & { openCount(): number } {
  const files = memoryFiles(contents);
  let openCount = 0;
  return {
    ...files,
    openCount: () => openCount,
    async open(path) {
      const source = await files.open(path);
      openCount++;
      return {
        ...source,
        async close() {
          openCount--;
        },
      };
    },
  };
}
