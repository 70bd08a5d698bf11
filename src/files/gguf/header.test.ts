import { describe, expect, it } from "vitest";
import { countingTensor, ggufBytes, smallGguf } from "../../../tests/builders/gguf.ts";
import { type ByteSource, memorySource } from "../byte-source.ts";
import { openGguf } from "./read.ts";
import type { GgufType } from "./types.ts";
import type { GgufEntry } from "./write.ts";

describe("bad GGUF", () => {
  async function patched(change: (view: DataView, bytes: Uint8Array) => void): Promise<Uint8Array> {
    const bytes = await smallGguf();
    change(new DataView(bytes.buffer), bytes);
    return bytes;
  }
  // Layout of `small`: header 24, entry "a" at 24 (8+1+4+4 = 17), tensor "t" at 41.
  const cases: readonly [string, () => Promise<Uint8Array>, RegExp][] = [
    ["empty", async () => new Uint8Array(), /at least 24 bytes, but the file has 0/],
    ["wrong magic", () => patched((view) => view.setUint32(0, 1)), /expected the magic "GGUF"/],
    [
      "version 1",
      () => patched((view) => view.setUint32(4, 1, true)),
      /version 1 at byte 4.*expected 2 or 3/,
    ],
    ["big-endian", () => patched((view) => view.setUint32(4, 3)), /big-endian/],
    [
      "absurd tensor count",
      () => patched((view) => view.setBigUint64(8, 2n ** 40n, true)),
      /1099511627776 tensors need/,
    ],
    [
      "absurd entry count",
      () => patched((view) => view.setBigUint64(16, 2n ** 63n, true)),
      /beyond any file/,
    ],
    [
      "absurd key length",
      () => patched((view) => view.setBigUint64(24, 2n ** 33n, true)),
      /bytes of a string need/,
    ],
    ["invalid UTF-8", () => patched((_, bytes) => bytes.fill(0xff, 32, 33)), /invalid UTF-8/],
    ["unknown type", () => patched((view) => view.setUint32(33, 99, true)), /a: unknown metadata type 99/],
    ["no dimensions", () => patched((view) => view.setUint32(50, 0, true)), /0 dimensions; expected 1 to 4/],
    ["huge dimension", () => patched((view) => view.setBigUint64(54, 2n ** 52n, true)), /too large/],
    ["empty dimension", () => patched((view) => view.setBigUint64(54, 0n, true)), /a dimension is 0/],
    [
      "unknown format",
      () => patched((view) => view.setUint32(70, 77, true)),
      /"t" has the unknown format 77/,
    ],
    [
      "partial blocks",
      () => patched((view) => view.setUint32(70, 2, true)),
      /3 columns are no whole blocks of 32/,
    ],
    [
      "unaligned offset",
      () => patched((view) => view.setBigUint64(74, 3n, true)),
      /no multiple of the alignment 32/,
    ],
    [
      "offset beyond the end",
      () => patched((view) => view.setBigUint64(74, 4096n, true)),
      /"t" ends at byte \d+, but/,
    ],
    [
      "overlap",
      () => patched((view) => view.setBigUint64(74, 32n, true)),
      /"t" and "u" overlap|"u" and "t" overlap/,
    ],
  ];

  it.each(cases)("%s", async (_, bytes, message) => {
    const opened = openGguf(memorySource(await bytes()));
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toMatchObject({ name: "CriaError" });
  });

  it("truncated at any byte", async () => {
    const bytes = await smallGguf();
    for (let length = 0; length < bytes.length - 32; length++)
      await expect(openGguf(memorySource(bytes.subarray(0, length)))).rejects.toMatchObject({
        code: "bad-file",
      });
  });

  it("twice the same name or key", async () => {
    const tensors = ["t", "v"].map((name) => countingTensor(name, "F32", 1, 4));
    const entries: GgufEntry[] = ["k", "l"].map((key) => ({ key, type: "u8", value: 1 }));
    const replaced = async (bytes: Promise<Uint8Array>, from: string, to: string) =>
      (await bytes).map((byte) => (byte === from.charCodeAt(0) ? to.charCodeAt(0) : byte));
    const sameName = await replaced(ggufBytes([], tensors), "v", "t");
    await expect(openGguf(memorySource(sameName))).rejects.toThrow(/tensor "t" appears twice/);
    const sameKey = await replaced(ggufBytes(entries, []), "l", "k");
    await expect(openGguf(memorySource(sameKey))).rejects.toThrow(/key "k" appears twice/);
  });

  it.each([0, 48, 2 ** 31])("an alignment of %i", async (alignment) => {
    const bytes = await ggufBytes([{ key: "general.alignment", type: "u32", value: 64 }], []);
    new DataView(bytes.buffer).setUint32(bytes.length - 4, alignment, true);
    await expect(openGguf(memorySource(bytes))).rejects.toThrow(`${alignment}; expected a power of two`);
  });

  it("an alignment that is an array", async () => {
    // The key is patched afterwards, since the writer refuses it.
    const bytes = await ggufBytes([{ key: "general.alignmenx", type: "array<u8>", value: [1, 2] }], []);
    bytes[24 + 8 + 16] = 0x74;
    await expect(openGguf(memorySource(bytes))).rejects.toThrow(/is an array of 2; expected a power of two/);
  });

  it("arrays nested without end", async () => {
    const type = `${"array<".repeat(6)}u8${">".repeat(6)}` as GgufType;
    const deep = await ggufBytes([{ key: "deep", type, value: [[[[[[1]]]]]] }], []);
    await expect(openGguf(memorySource(deep))).rejects.toThrow(/nested deeper than 4/);
  });

  // A sparse file may be as long as its header claims, so the length of a file alone bounds nothing.
  it.each(["array<u8>", "array<string>", "array<array<u8>>"] as const)(
    "absurd length of an %s in an endless file",
    async (type) => {
      const bytes = await ggufBytes([{ key: "k", type, value: [] }], []);
      new DataView(bytes.buffer).setBigUint64(bytes.length - 8, 2n ** 45n, true);
      let mostBytes = 0;
      const endless: ByteSource = {
        ...memorySource(bytes),
        byteLength: 2 ** 52,
        async read(_, byteLength) {
          mostBytes = Math.max(mostBytes, byteLength);
          if (byteLength > 2 ** 24) return new Uint8Array(0);
          const padded = new Uint8Array(byteLength).fill(0xff);
          padded.set(bytes);
          return padded;
        },
      };
      await expect(openGguf(endless)).rejects.toMatchObject({ code: "bad-file" });
      expect(mostBytes).toBe(2 ** 20);
    },
  );
});
