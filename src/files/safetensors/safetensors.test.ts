import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryFiles } from "../../../tests/memory-files.ts";
import { memorySink } from "../../../tests/memory-sink.ts";
import { storedRows } from "../../../tests/random-model.ts";
import { rowBytes, type TensorFormat } from "../../tensor/format.ts";
import { memorySource } from "../byte-source.ts";
import type { StoredTensor } from "../stored-tensor.ts";
import { isSafetensors, openSafetensors, readSafetensors } from "./read.ts";
import { writeSafetensors } from "./write.ts";

/** A file with the given header and as many zero bytes of data. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const rows = [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)];

async function written(names: readonly string[]): Promise<Uint8Array> {
  const sink = memorySink();
  const tensors = names.map((name) => storedRows(name, name === "norm" ? rows.slice(0, 1) : rows));
  await writeSafetensors(sink, {
    metadata: new Map([["format", "pt"]]),
    tensors,
    vectors: new Set(["norm"]),
  });
  return sink.bytes();
}

describe("safetensors", () => {
  it("reads what it wrote, and writes it again byte for byte", async () => {
    const bytes = await written(["b", "norm", "a"]);
    const files = memoryFiles({ "m/model.safetensors": bytes, "m/config.json": '{"model_type":"llama"}' });
    const file = await openSafetensors("m/model.safetensors", files);
    expect([...file.tensors.keys()]).toEqual(["b", "norm", "a"]);
    expect(file.config).toEqual({ model_type: "llama" });
    expect([...file.metadata]).toEqual([["format", "pt"]]);
    const second = (await file.tensors.get("a")?.readRows(1, 1)) as Uint8Array;
    expect([...new Float32Array(second.buffer)]).toEqual([4, 5, 6]);
    expect(isSafetensors(bytes, bytes.length)).toBe(true);
    expect((bytes.length - 3 * 12 - 2 * 12) % 8).toBe(0);

    const sink = memorySink();
    await writeSafetensors(sink, {
      metadata: file.metadata as ReadonlyMap<string, string>,
      tensors: [...file.tensors.values()],
      vectors: new Set(["norm"]),
    });
    expect(sink.bytes()).toEqual(bytes);
  });

  it("joins shards by their index", async () => {
    const index = { weight_map: { a: "1.safetensors", b: "2.safetensors" } };
    const files = memoryFiles({
      "m/1.safetensors": await written(["a"]),
      "m/2.safetensors": await written(["b"]),
      "m/model.safetensors.index.json": JSON.stringify(index),
      "m/config.json": "{}",
    });
    const file = await openSafetensors("m/model.safetensors.index.json", files);
    expect([...file.tensors.keys()].sort()).toEqual(["a", "b"]);
    expect(file.paths).toEqual(["m/1.safetensors", "m/2.safetensors"]);
  });

  it.each([
    ["a missing shard", { a: "3.safetensors" }, "not-found"],
    ["a tensor that is not in its shard", { z: "1.safetensors" }, "not-found"],
    ["a path out of the folder", { a: "../1.safetensors" }, "bad-file"],
    ["a number for a name", { a: 7 }, "bad-file"],
    ["nothing in it", undefined, "bad-file"],
    ["a nested name", { a: [[[[[[1]]]]]] }, "bad-file"],
  ])("refuses an index with %s", async (_, map, code) => {
    const files = memoryFiles({
      "m/1.safetensors": await written(["a"]),
      "m/model.safetensors.index.json": JSON.stringify({ weight_map: map }),
      "m/config.json": "{}",
    });
    await expect(openSafetensors("m/model.safetensors.index.json", files)).rejects.toMatchObject({ code });
  });

  it("needs config.json", async () => {
    const files = memoryFiles({ "m/model.safetensors": await written(["a"]) });
    await expect(openSafetensors("m/model.safetensors", files)).rejects.toThrow(/config\.json is missing/);
  });

  it("lists tensors of other dtypes as unsupported", async () => {
    const bytes = fileOf({ mask: { dtype: "I64", shape: [2], data_offsets: [0, 16] } }, 16);
    const file = await openSafetensors(
      "m.safetensors",
      memoryFiles({ "m.safetensors": bytes, "config.json": "{}" }),
    );
    expect(file.unsupported).toEqual([{ name: "mask", format: "I64", rows: 1, columns: 2, byteLength: 16 }]);
  });

  const tensor = (shape: unknown, offsets: unknown, dtype: unknown = "F32") => ({
    t: { dtype, shape, data_offsets: offsets },
  });
  const oneFloat = JSON.stringify(tensor([1], [0, 4]).t);
  const nested = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

  it.each([
    ["empty", new Uint8Array(), /at least 8 bytes/],
    [
      "a header beyond the end",
      fileOf("{}", 0).fill(9, 0, 1),
      /a header of 9 bytes does not fit a file of 10/,
    ],
    ["an absurd header", fileOf("{}", 0).fill(0xff, 0, 8), /does not fit/],
    ["no JSON", fileOf("{'", 0), /not valid JSON/],
    ["invalid UTF-8", fileOf('{"a"}', 0).fill(0xff, 10, 11), /not valid JSON: invalid UTF-8/],
    ["a list", fileOf("[]", 0), /expected a JSON object at byte 8/],
    ["space before the object", fileOf(" {}", 0), /expected a JSON object at byte 8/],
    ["deep nesting", fileOf(`{"t":${nested}}`, 0), /nested deeper than 3 at character 7/],
    ["a nested dtype", fileOf(tensor([1], [0, 4], [[1]]), 4), /not valid JSON: nested deeper/],
    ["a list for a dtype", fileOf(tensor([1], [0, 4], ["F32"]), 4), /unknown dtype a list/],
    ["a long dtype", fileOf(tensor([1], [0, 4], "x".repeat(1e6)), 4), /unknown dtype "x{40}"$/],
    ["a name given twice", fileOf(`{"t":${oneFloat},"t":${oneFloat}}`, 4), /key "t" is given twice/],
    ["a dtype given twice", fileOf('{"t":{"dtype":"F32","dtype":"F16"}}', 4), /key "dtype" is given twice/],
    ["a metadata key given twice", fileOf('{"__metadata__":{"a":"1","a":"2"}}', 0), /key "a" is given twice/],
    ["an unknown dtype", fileOf(tensor([1], [0, 4], "X9"), 4), /unknown dtype "X9"/],
    ["a prototype's name for a dtype", fileOf(tensor([1], [0, 4], "constructor"), 4), /unknown dtype/],
    ["a negative size", fileOf(tensor([-1], [0, 4]), 4), /list of at most 8 sizes/],
    ["an absurd size", fileOf(tensor([2 ** 40, 2 ** 40], [0, 4]), 4), /takes \d/],
    ["a wrong length", fileOf(tensor([2], [0, 4]), 4), /takes 8 bytes, but data_offsets say 4/],
    ["reversed offsets", fileOf(tensor([1], [4, 0]), 4), /should be \[first, end\]/],
    ["a hole", fileOf(tensor([1], [4, 8]), 8), /leaves a hole/],
    [
      "an overlap",
      fileOf({ ...tensor([1], [0, 4]), u: { dtype: "F32", shape: [1], data_offsets: [2, 6] } }, 6),
      /overlaps/,
    ],
    ["bytes left over", fileOf(tensor([1], [0, 4]), 6), /end at byte \d+, but the file has/],
    ["missing data", fileOf(tensor([1], [0, 4]), 2), /end at byte/],
    [
      "metadata that is not text",
      fileOf({ __metadata__: { a: 1 } }, 0),
      /__metadata__\.a should be a string/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    const read = readSafetensors(memorySource(bytes));
    await expect(read).rejects.toThrow(message);
    await expect(read).rejects.toMatchObject({ code: "bad-file" });
  });

  it("writes again byte for byte what it read, with any names, shapes and metadata", async () => {
    const name = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.nat(20).map(String),
      fc.constantFrom("__proto__", "constructor", "a.weight"),
    );
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
    const tensor = fc.record({ name, shape, format: fc.constantFrom("F32", "F16", "BF16") });
    const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 });
    const metadata = fc.uniqueArray(fc.tuple(name, fc.string({ unit: "grapheme" })), {
      selector: ([key]) => key,
    });
    await fc.assert(
      fc.asyncProperty(tensors, metadata, async (tensors, metadata) => {
        const stored = tensors.map(({ name, shape, format }, index): StoredTensor => {
          const columns = shape.at(-1) ?? 1;
          const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
          const bytesPerRow = rowBytes(format as TensorFormat, columns);
          const readRows = async (first: number, count: number) =>
            Uint8Array.from({ length: count * bytesPerRow }, (_, i) => 31 * index + first * bytesPerRow + i);
          return { name, format: format as TensorFormat, rows, columns, shape, readRows };
        });
        const sink = memorySink();
        await writeSafetensors(sink, { metadata: new Map(metadata), tensors: stored, vectors: new Set() });
        const bytes = sink.bytes();
        const file = await openSafetensors("m", memoryFiles({ m: bytes, "config.json": "{}" }));
        expect([...file.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
        expect([...file.tensors.values()].map(({ shape }) => shape)).toEqual(
          tensors.map(({ shape }) => shape),
        );
        expect([...file.metadata]).toEqual(metadata);
        const again = memorySink();
        await writeSafetensors(again, {
          metadata: file.metadata as ReadonlyMap<string, string>,
          tensors: [...file.tensors.values()],
          vectors: new Set(),
        });
        expect(Buffer.compare(again.bytes(), bytes)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it("opens all shards by the name of one", async () => {
    const [first, second] = ["m/w-00001-of-00002.safetensors", "m/w-00002-of-00002.safetensors"];
    const index = "m/w.safetensors.index.json";
    const files = memoryFiles({
      [first]: await written(["a"]),
      [second]: await written(["b"]),
      [index]: JSON.stringify({ weight_map: { a: first.slice(2), b: second.slice(2) } }),
      "m/config.json": "{}",
    });
    for (const path of [first, second, index])
      expect([...(await openSafetensors(path, files)).tensors.keys()]).toEqual(["a", "b"]);
    files.contents.delete(index);
    await expect(openSafetensors(second, files)).rejects.toThrow(
      /one of 2 shards, but m\/w\.safe.* is missing/,
    );
  });

  it("refuses rows beyond a tensor, whose bytes are another's", async () => {
    const files = memoryFiles({ m: await written(["a", "b"]), "config.json": "{}" });
    const tensor = (await openSafetensors("m", files)).tensors.get("a");
    await expect(tensor?.readRows(1, 2)).rejects.toMatchObject({ code: "bad-input" });
  });

  it("joins an index with very many names in a moment", async () => {
    // The table of a shard's names was once copied for every name: 24 s for these.
    const names = Array.from({ length: 60_000 }, (_, i): [string, string] => [`t${i}`, "1.safetensors"]);
    const files = memoryFiles({
      "m/1.safetensors": await written(["a"]),
      "m/model.safetensors.index.json": JSON.stringify({ weight_map: Object.fromEntries(names) }),
    });
    await expect(openSafetensors("m/model.safetensors.index.json", files)).rejects.toThrow(/it does not/);
  }, 5000);

  it("refuses to write a name twice, or the metadata's", async () => {
    const write = (...names: string[]) =>
      writeSafetensors(memorySink(), {
        metadata: new Map(),
        tensors: names.map((name) => storedRows(name, rows)),
        vectors: new Set(),
      });
    await expect(write("a", "a")).rejects.toMatchObject({ code: "bad-input" });
    await expect(write("__metadata__")).rejects.toMatchObject({ code: "bad-input" });
  });

  it("refuses to write packed formats", async () => {
    const packed = { ...storedRows("w", rows), format: "Q4_0" as const, columns: 32 };
    const contents = { metadata: new Map(), tensors: [packed], vectors: new Set<string>() };
    await expect(writeSafetensors(memorySink(), contents)).rejects.toThrow(/cannot hold Q4_0 \("w"\)/);
  });
});
