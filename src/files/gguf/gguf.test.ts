import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataFile } from "../../../tests/data.ts";
import { memorySink } from "../../../tests/memory-sink.ts";
import { rowBytes, type TensorFormat, tensorFormats } from "../../tensor/format.ts";
import { type ByteSource, type FileSystem, memorySource } from "../byte-source.ts";
import type { StoredTensor } from "../stored-tensor.ts";
import { openGguf } from "./read.ts";
import type { GgufType } from "./types.ts";
import { type GgufEntry, writeGguf } from "./write.ts";

async function written(
  entries: readonly GgufEntry[],
  tensors: readonly StoredTensor[],
  version = 3,
): Promise<Uint8Array> {
  const sink = memorySink();
  await writeGguf(sink, { version, entries, tensors });
  return sink.bytes();
}

function tensor(name: string, format: TensorFormat, rows: number, columns: number, fill = 7): StoredTensor {
  const bytes = rowBytes(format, columns);
  return {
    name,
    format,
    rows,
    columns,
    readRows: async (first, count) =>
      Uint8Array.from({ length: count * bytes }, (_, i) => fill + first * bytes + i),
  };
}

async function rewritten(bytes: Uint8Array): Promise<Uint8Array> {
  const file = await openGguf(memorySource(bytes));
  const entries = [...file.metadata].map(([key, value]) => ({
    key,
    value,
    type: file.types.get(key) as GgufType,
  }));
  return written(entries, [...file.tensors.values()], file.version);
}

const small = () =>
  written([{ key: "a", type: "u32", value: 5 }], [tensor("t", "F32", 2, 3), tensor("u", "Q4_0", 3, 64)]);

describe("GGUF", () => {
  it("gives back every metadata type", async () => {
    const entries: GgufEntry[] = [
      { key: "u8", type: "u8", value: 255 },
      { key: "i8", type: "i8", value: -128 },
      { key: "u16", type: "u16", value: 65535 },
      { key: "i16", type: "i16", value: -32768 },
      { key: "u32", type: "u32", value: 4294967295 },
      { key: "i32", type: "i32", value: -2147483648 },
      { key: "f32", type: "f32", value: 0.5 },
      { key: "bool", type: "bool", value: true },
      { key: "string", type: "string", value: "grün 🌍\u0000" },
      { key: "small", type: "u64", value: 7 },
      { key: "large", type: "u64", value: 2n ** 64n - 1n },
      { key: "i64", type: "i64", value: -(2n ** 63n) },
      { key: "f64", type: "f64", value: Math.PI },
      { key: "strings", type: "array<string>", value: ["a", "", "ß"] },
      { key: "floats", type: "array<f32>", value: Float32Array.of(1, -2.5) },
      { key: "bools", type: "array<bool>", value: [true, false] },
      { key: "nested", type: "array<array<i16>>", value: [Int16Array.of(1), Int16Array.of(2, 3)] },
      { key: "empty", type: "array<u64>", value: [] },
    ];
    for (const version of [2, 3]) {
      const file = await openGguf(memorySource(await written(entries, [], version)));
      expect(file.version).toBe(version);
      for (const { key, type, value } of entries) {
        expect(file.metadata.get(key)).toEqual(value);
        expect(file.types.get(key)).toBe(type);
      }
    }
  });

  it("round-trips random contents byte for byte", async () => {
    const entry = fc.oneof(
      fc.record({ type: fc.constant("string"), value: fc.string({ unit: "grapheme" }) }),
      fc.record({ type: fc.constant("i64"), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
      fc.record({ type: fc.constant("array<string>"), value: fc.array(fc.string()) }),
      fc.record({ type: fc.constant("array<u8>"), value: fc.uint8Array() }),
    );
    const shape = fc.record({
      format: fc.constantFrom(...tensorFormats),
      rows: fc.integer({ min: 1, max: 5 }),
      blocks: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry), fc.array(shape, { maxLength: 5 }), async (values, shapes) => {
        const entries = values.map((value, index) => ({ key: `key.${index}`, ...value }) as GgufEntry);
        const tensors = shapes.map(({ format, rows, blocks }, index) =>
          tensor(`t${index}`, format, rows, blocks * 256),
        );
        const bytes = await written(entries, tensors);
        expect(Buffer.compare(await rewritten(bytes), bytes)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it.each(["ggml-vocab-llama-spm.gguf", "ggml-vocab-gpt-2.gguf"])(
    "rewrites llama.cpp's %s byte for byte",
    async (name) => {
      const path = dataFile(`tokenizers/vectors/${name}`);
      if (!path) return;
      const bytes = new Uint8Array(readFileSync(path));
      expect(Buffer.compare(await rewritten(bytes), bytes)).toBe(0);
    },
  );

  it("reads rows where they are, and obeys general.alignment", async () => {
    const bytes = await written(
      [{ key: "general.alignment", type: "u32", value: 64 }],
      [tensor("t", "F16", 3, 5), tensor("u", "Q8_0", 2, 32, 90)],
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
    const bytes = await written([{ key: "tokens", type: "array<string>", value: strings }], []);
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
});

describe("split GGUF", () => {
  const part = (no: number, names: string[], count = 2) =>
    written(
      [
        { key: "split.no", type: "u16", value: no },
        { key: "split.count", type: "u16", value: count },
        { key: "split.tensors.count", type: "i32", value: 3 },
      ],
      names.map((name, index) => tensor(name, "F32", 1, 4, 10 * no + index)),
    );

  function folder(parts: Record<string, Uint8Array>): FileSystem {
    return {
      async open(path) {
        const bytes = parts[path];
        if (!bytes) throw Object.assign(new Error(`${path} is missing`), { code: "not-found" });
        return memorySource(bytes, path);
      },
    } as FileSystem;
  }

  it("joins the parts, whichever is named", async () => {
    const [a, b] = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    const files = folder({ [a]: await part(0, ["x", "y"]), [b]: await part(1, ["z"]) });
    for (const name of [a, b]) {
      const file = await openGguf(await files.open(name), files);
      expect([...file.tensors.keys()]).toEqual(["x", "y", "z"]);
      expect((await file.tensors.get("z")?.readRows(0, 1))?.[0]).toBe(10);
      expect(file.paths).toEqual([a, b]);
    }
  });

  it("says what is wrong with the parts", async () => {
    const [a, b] = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    const first = await part(0, ["x", "y"]);
    const open = async (parts: Record<string, Uint8Array>, name = a) =>
      openGguf(await folder(parts).open(name), folder(parts));
    await expect(open({ [a]: first })).rejects.toMatchObject({ code: "not-found" });
    await expect(open({ [a]: first, [b]: await part(0, ["z"]) })).rejects.toThrow(
      /split\.no is 0; expected 1 of 2/,
    );
    await expect(open({ [a]: first, [b]: await part(1, ["x"]) })).rejects.toThrow(
      /"x" is in an earlier part/,
    );
    await expect(open({ [a]: first, [b]: await part(1, []) })).rejects.toThrow(/hold 2 tensors; expected 3/);
    await expect(open({ "m.gguf": first }, "m.gguf")).rejects.toThrow(/must be named/);
  });
});

describe("bad GGUF", () => {
  async function patched(change: (view: DataView, bytes: Uint8Array) => void): Promise<Uint8Array> {
    const bytes = await small();
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
    const bytes = await small();
    for (let length = 0; length < bytes.length - 32; length++)
      await expect(openGguf(memorySource(bytes.subarray(0, length)))).rejects.toMatchObject({
        code: "bad-file",
      });
  });

  it("twice the same name, an alignment that is no power of two, arrays nested without end", async () => {
    const same = written([], [tensor("t", "F32", 1, 4), tensor("t", "F32", 1, 4)]);
    await expect(openGguf(memorySource(await same))).rejects.toThrow(/"t" appears twice/);
    const odd = written([{ key: "general.alignment", type: "u32", value: 48 }], []);
    await expect(openGguf(memorySource(await odd))).rejects.toThrow(/48; expected a power of two/);
    const type = `${"array<".repeat(6)}u8${">".repeat(6)}` as GgufType;
    const deep = written([{ key: "deep", type, value: [[[[[[1]]]]]] }], []);
    await expect(openGguf(memorySource(await deep))).rejects.toThrow(/nested deeper than 4/);
  });

  it("refuses to write what a type cannot hold", async () => {
    const wrong = (type: GgufType, value: GgufEntry["value"]) => written([{ key: "k", type, value }], []);
    await expect(wrong("u8", 256)).rejects.toThrow("k: expected a value of type u8, but got 256");
    await expect(wrong("i16", 1.5)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("u64", -1)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("array<u8>", 3)).rejects.toMatchObject({ code: "bad-input" });
    await expect(wrong("string", 3)).rejects.toMatchObject({ code: "bad-input" });
  });
});
