/** Reads the metadata of a GGUF file for tests of what uses it; apart from the real reader, so that one checks the other. */
import { readFileSync } from "node:fs";
import type { MetadataValue } from "../src/files/stored-tensor.ts";

const numberReaders: Readonly<Record<number, readonly [number, (view: DataView, at: number) => number]>> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  10: [8, (view, at) => Number(view.getBigUint64(at, true))],
  11: [8, (view, at) => Number(view.getBigInt64(at, true))],
  12: [8, (view, at) => view.getFloat64(at, true)],
};
const [booleanType, stringType, arrayType] = [7, 8, 9];

export function readGgufMetadata(path: string): Map<string, MetadataValue> {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 16;
  const read = (type: number): MetadataValue => {
    if (type === stringType) {
      const length = Number(view.getBigUint64(at, true));
      at += 8 + length;
      return bytes.toString("utf8", at - length, at);
    }
    if (type === booleanType) return view.getUint8(at++) === 1;
    if (type === arrayType) {
      const itemType = view.getUint32(at, true);
      const count = Number(view.getBigUint64(at + 4, true));
      at += 12;
      return Array.from({ length: count }, () => read(itemType));
    }
    const [size, readNumber] = numberReaders[type]!;
    at += size;
    return readNumber(view, at - size);
  };
  const entryCount = Number(read(10));
  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = read(stringType) as string;
    const type = read(4) as number;
    metadata.set(key, read(type));
  }
  return metadata;
}
