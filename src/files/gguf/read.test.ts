import { describe, expect, it } from "vitest";
import { countedFiles } from "../../../tests/builders/counted-files.ts";
import { countingTensor, ggufBytes, smallGguf } from "../../../tests/builders/gguf.ts";
import { memoryFiles } from "../../../tests/memory-files.ts";
import { type ByteSource, memorySource } from "../byte-source.ts";
import { isGguf, openGguf } from "./read.ts";

describe("openGguf", () => {
  it("reads rows where they are, and obeys general.alignment", async () => {
    const bytes = await ggufBytes(
      [{ key: "general.alignment", type: "u32", value: 64 }],
      [countingTensor("t", "F16", 3, 5), countingTensor("u", "Q8_0", 2, 32, { fill: 90 })],
    );
    const file = await openGguf(memorySource(bytes));
    expect(await file.tensors.get("t")?.readRows(1, 2)).toEqual(
      Uint8Array.from({ length: 20 }, (_, i) => 17 + i),
    );
    expect(await file.tensors.get("u")?.readRows(0, 1)).toEqual(
      Uint8Array.from({ length: 34 }, (_, i) => 90 + i),
    );
    expect(bytes.length % 64).toBe(0);
  });

  it("reads a header longer than its first try in few reads", async () => {
    const strings = Array.from({ length: 40_000 }, (_, i) => `token number ${i} of a long list of tokens`);
    const bytes = await ggufBytes([{ key: "tokens", type: "array<string>", value: strings }], []);
    const source = memorySource(bytes);
    let reads = 0;
    const counting: ByteSource = {
      ...source,
      read(at, length) {
        reads++;
        return source.read(at, length);
      },
    };
    expect((await openGguf(counting)).metadata.get("tokens")).toEqual(strings);
    expect(reads).toBe(2);
  });

  it("refuses rows beyond a tensor, whose bytes are another's", async () => {
    const tensor = (await openGguf(memorySource(await smallGguf()))).tensors.get("t");
    await expect(tensor?.readRows(1, 2)).rejects.toMatchObject({ code: "bad-input" });
    await expect(tensor?.readRows(-1, 1)).rejects.toMatchObject({ code: "bad-input" });
  });

  it("lists tensors in formats that it cannot read", async () => {
    const bytes = await ggufBytes(
      [],
      [countingTensor("t", "Q6_K", 1, 256), countingTensor("u", "F32", 1, 4)],
    );
    // The format of "t", after the counts, its name and its one size.
    new DataView(bytes.buffer).setUint32(24 + 9 + 4 + 8, 16, true);
    const file = await openGguf(memorySource(bytes));
    expect(file.unsupported).toEqual([
      { name: "t", format: "IQ2_XXS", rows: 1, columns: 256, byteLength: 66 },
    ]);
    expect([...file.tensors.keys()]).toEqual(["u"]);
  });

  it("knows a GGUF by its first bytes", async () => {
    expect(isGguf(await smallGguf())).toBe(true);
    expect(isGguf(Uint8Array.of(0x47, 0x47, 0x55))).toBe(false);
    expect(isGguf(Uint8Array.of(0x46, 0x55, 0x47, 0x47))).toBe(false);
  });
});

describe("split GGUF", () => {
  const part = (no: number, names: string[], count = 2) =>
    ggufBytes(
      [
        { key: "split.no", type: "u16", value: no },
        { key: "split.count", type: "u16", value: count },
        { key: "split.tensors.count", type: "i32", value: 3 },
      ],
      names.map((name, index) => countingTensor(name, "F32", 1, 4, { fill: 10 * no + index })),
    );

  const [a, b] = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];

  it("joins the parts, whichever is named", async () => {
    const files = memoryFiles({ [a]: await part(0, ["x", "y"]), [b]: await part(1, ["z"]) });
    for (const name of [a, b]) {
      const file = await openGguf(await files.open(name), files);
      expect([...file.tensors.keys()]).toEqual(["x", "y", "z"]);
      expect((await file.tensors.get("z")?.readRows(0, 1))?.[0]).toBe(10);
      expect(file.paths).toEqual([a, b]);
    }
  });

  it("says what is wrong with the parts", async () => {
    const first = await part(0, ["x", "y"]);
    const open = async (parts: Record<string, Uint8Array>, name = a) =>
      openGguf(await memoryFiles(parts).open(name), memoryFiles(parts));
    await expect(open({ [a]: first })).rejects.toMatchObject({
      code: "not-found",
      message: `${b}: no such file`,
    });
    await expect(open({ [a]: first, [b]: await part(0, ["z"]) })).rejects.toThrow(
      /split\.no is 0; expected 1 of 2/,
    );
    await expect(open({ [a]: first, [b]: await part(1, ["x"]) })).rejects.toThrow(
      /"x" is in an earlier part/,
    );
    await expect(open({ [a]: first, [b]: await part(1, []) })).rejects.toThrow(/hold 2 tensors; expected 3/);
    await expect(open({ "m.gguf": first }, "m.gguf")).rejects.toThrow(/must be named/);
    await expect(openGguf(memorySource(first, a))).rejects.toThrow(/cannot be reached from here/);
  });

  it.each([
    ["a part is bad", () => ggufBytes([], []).then((bytes) => bytes.fill(0, 0, 1))],
    ["a part is another's", () => part(0, ["z"])],
    ["a tensor is in two parts", () => part(1, ["x"])],
  ])("closes the parts it opened when %s", async (_, second) => {
    const files = countedFiles({ [a]: await part(0, ["x", "y"]), [b]: await second() });
    await expect(openGguf(await files.open(a), files)).rejects.toMatchObject({ code: "bad-file" });
    // The first was given, so it is the caller's.
    expect(files.openCount()).toBe(1);
  });
});
