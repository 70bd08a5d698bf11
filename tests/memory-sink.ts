/** A ByteSink that keeps what is written. */
import type { ByteSink } from "../src/files/byte-source.ts";

export function memorySink(): ByteSink & { bytes(): Uint8Array } {
  const pieces: Uint8Array[] = [];
  return {
    async write(bytes) {
      pieces.push(bytes.slice());
    },
    async close() {},
    async abort() {},
    bytes: () => new Uint8Array(Buffer.concat(pieces)),
  };
}
