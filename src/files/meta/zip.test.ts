import { describe, expect, it } from "vitest";
import { buildZip } from "../../../tests/builders/zip.ts";
import { memorySource } from "../byte-source.ts";
import { readZip } from "./zip.ts";

const entries: [string, Uint8Array][] = [
  ["a/data.pkl", Uint8Array.of(1, 2, 3)],
  ["a/data/0", Uint8Array.of(4, 5, 6, 7)],
  ["a/empty", new Uint8Array(0)],
];
const read = (bytes: Uint8Array) => readZip(memorySource(bytes, "model.pth"));

/** Where the n-th signature of a record begins. */
function find(bytes: Uint8Array, signature: number, nth = 0): number {
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 4 <= bytes.length; at++)
    if (view.getUint32(at, true) === signature && nth-- === 0) return at;
  throw new Error("no such record");
}
const CENTRAL = 0x02014b50;

describe("readZip", () => {
  it.each([{}, { zip64: true }, { comment: "PK\x05\x06 in a comment" }, { padding: 0 }])(
    "gives the range of every entry (%o)",
    async (options) => {
      const bytes = buildZip(entries, options);
      const found = await read(bytes);
      expect([...found.keys()]).toEqual(entries.map(([name]) => name));
      for (const [name, content] of entries) {
        const entry = found.get(name)!;
        expect(bytes.slice(entry.byteOffset, entry.byteOffset + entry.byteLength)).toEqual(content);
      }
    },
  );

  it("refuses compressed entries by name", async () => {
    await expect(read(buildZip(entries, { method: 8 }))).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining('"a/data.pkl" is compressed'),
    });
  });

  it("refuses two entries of one name", async () => {
    await expect(read(buildZip([...entries, entries[0]!]))).rejects.toThrow('two entries named "a/data.pkl"');
  });

  it("refuses an archive that was cut anywhere", async () => {
    const bytes = buildZip(entries);
    for (let length = 0; length < bytes.length; length++)
      await expect(read(bytes.slice(0, length)), `${length}`).rejects.toMatchObject({ code: "bad-file" });
  });

  it("refuses entries that overlap", async () => {
    const bytes = buildZip(entries);
    // The second record points at the first entry's header.
    new DataView(bytes.buffer).setUint32(find(bytes, CENTRAL, 1) + 42, 0, true);
    await expect(read(bytes)).rejects.toThrow("run into what follows");
  });

  it("refuses an entry that is larger than the file", async () => {
    const bytes = buildZip(entries);
    const view = new DataView(bytes.buffer);
    const at = find(bytes, CENTRAL, 1);
    view.setUint32(at + 20, 2 ** 31, true);
    view.setUint32(at + 24, 2 ** 31, true);
    await expect(read(bytes)).rejects.toMatchObject({ code: "bad-file" });
  });

  it("refuses absurd directories before reading them", async () => {
    for (const [field, value] of [
      [32, 2n ** 40n],
      [40, 2n ** 63n],
      [48, 2n ** 64n - 1n],
    ] as const) {
      const bytes = buildZip(entries, { zip64: true });
      new DataView(bytes.buffer).setBigUint64(find(bytes, 0x06064b50) + field, value, true);
      await expect(read(bytes)).rejects.toMatchObject({ code: "bad-file" });
    }
  });

  it("refuses a zip64 size that its extra field does not hold", async () => {
    const bytes = buildZip(entries);
    new DataView(bytes.buffer).setUint32(find(bytes, CENTRAL) + 42, 0xffffffff, true);
    await expect(read(bytes)).rejects.toThrow("zip64 field is missing");
  });
});
