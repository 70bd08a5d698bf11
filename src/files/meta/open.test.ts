import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countedFiles } from "../../../tests/builders/counted-files.ts";
import { buildPth, PickleWriter, type PthTensor } from "../../../tests/builders/pth.ts";
import type { StoredTensor } from "../stored-tensor.ts";
import { openMeta } from "./open.ts";

/** An F32 tensor of counting values, `from` onwards. */
function counting(sizes: number[], from = 0): PthTensor {
  const count = sizes.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length: count }, (_, i) => from + i);
  return { type: "FloatStorage", sizes, bytes: new Uint8Array(values.buffer) };
}

async function floatsOf(tensor: StoredTensor, rowFirst = 0, rowCount = tensor.rows): Promise<number[]> {
  const bytes = await tensor.readRows(rowFirst, rowCount);
  if (tensor.format === "F32") return [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
  const bits = [...new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)];
  if (tensor.format === "F16") return [...new Float16Array(Uint16Array.from(bits).buffer)];
  return [...new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer)];
}

const params = JSON.stringify({ dim: 4, n_layers: 1, n_heads: 2 });
const one = (tensors: Record<string, PthTensor>, options = {}) =>
  countedFiles({ "m/consolidated.00.pth": buildPth(tensors, options), "m/params.json": params });

describe("openMeta, one file", () => {
  it.each([{}, { zip64: true }])("gives names, shapes and rows (%o)", async (options) => {
    const tensors = { "a.weight": counting([3, 2]), "b.weight": { ...counting([4], 10), parameter: true } };
    const file = await openMeta("m", one(tensors, options));
    expect(file.kind).toBe("meta");
    expect(file.config).toEqual({ dim: 4, n_layers: 1, n_heads: 2 });
    expect(file.paths).toEqual(["m/consolidated.00.pth"]);
    const a = file.tensors.get("a.weight")!;
    expect([a.rows, a.columns, a.format]).toEqual([3, 2, "F32"]);
    expect(await floatsOf(a)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await floatsOf(a, 1, 1)).toEqual([2, 3]);
    await expect(a.readRows(2, 2)).rejects.toMatchObject({ code: "bad-input" });
    const b = file.tensors.get("b.weight")!;
    expect([b.rows, b.columns]).toEqual([1, 4]);
    expect(await floatsOf(b)).toEqual([10, 11, 12, 13]);
  });

  it("reads a view of a storage, its rows apart", async () => {
    const slice = { ...counting([3, 4]), sizes: [3, 2], strides: [4, 1], offset: 1 };
    const tensor = (await openMeta("m", one({ "a.weight": slice }))).tensors.get("a.weight")!;
    expect(await floatsOf(tensor)).toEqual([1, 2, 5, 6, 9, 10]);
    expect(await floatsOf(tensor, 2, 1)).toEqual([9, 10]);
  });

  it.each([
    ["transposed", { sizes: [4, 3], strides: [1, 4] }, "strides (1, 4)"],
    ["repeated", { sizes: [2 ** 30, 4], strides: [0, 1] }, "strides (0, 1)"],
    ["past its storage", { sizes: [3, 4], offset: 1 }, "passes the end of its storage"],
    ["huge", { sizes: [2 ** 30, 2 ** 30] }, "passes the end of its storage"],
    ["empty", { sizes: [0, 4] }, "an empty tensor"],
    ["of three axes", { sizes: [1, 3, 4] }, "3 dimensions"],
  ])("refuses a tensor that is %s", async (_what, view, message) => {
    await expect(openMeta("m", one({ "a.weight": { ...counting([3, 4]), ...view } }))).rejects.toThrow(
      message,
    );
  });

  it("refuses other element types by name", async () => {
    const pickle = new PickleWriter().bytes(0x80, 2).global("torch", "DoubleStorage").bytes(0x2e).finish();
    await expect(openMeta("m", one({}, { pickle }))).rejects.toThrow(
      "names the Python object torch.DoubleStorage",
    );
  });

  it("refuses what is no dict of tensors", async () => {
    const list = new PickleWriter().bytes(0x80, 2, 0x5d, 0x2e).finish();
    await expect(openMeta("m", one({}, { pickle: list }))).rejects.toThrow("no dict of tensors");
    const nested = new PickleWriter().bytes(0x7d).text("model").bytes(0x7d, 0x73, 0x2e).finish();
    await expect(openMeta("m", one({}, { pickle: nested }))).rejects.toThrow(
      '"model" that is no named tensor',
    );
  });

  it("refuses big-endian files and files from before PyTorch 1.6", async () => {
    await expect(openMeta("m", one({}, { byteOrder: "big" }))).rejects.toMatchObject({ code: "unsupported" });
    const legacy = Uint8Array.of(
      0x80,
      2,
      0x8a,
      10,
      0x6c,
      0xfc,
      0x9c,
      0x46,
      0xf9,
      0x20,
      0x6a,
      0xa8,
      0x50,
      0x19,
      0x2e,
    );
    const files = countedFiles({ "m/consolidated.00.pth": legacy, "m/params.json": params });
    await expect(openMeta("m", files)).rejects.toThrow(/before version 1\.6; convert it in Python/);
  });

  it("opens a .pth file of another name alone, beside its params.json", async () => {
    const files = countedFiles({
      "m/mine.pth": buildPth({ "a.weight": counting([2, 2]) }),
      "m/params.json": params,
    });
    expect((await openMeta("m/mine.pth", files)).tensors.size).toBe(1);
  });

  it("reports a params.json that is missing, broken or no object", async () => {
    const pth = buildPth({});
    await expect(openMeta("m", countedFiles({ "m/consolidated.00.pth": pth }))).rejects.toMatchObject({
      code: "not-found",
    });
    for (const text of ["{", "[]", "null", "\xff"])
      await expect(
        openMeta("m", countedFiles({ "m/consolidated.00.pth": pth, "m/params.json": text })),
      ).rejects.toMatchObject({ code: "bad-file" });
  });
});

describe("openMeta, shards", () => {
  const wq = "layers.0.attention.wq.weight";
  const shard = (index: number, embedding = [5, 2]): Record<string, PthTensor> => ({
    [wq]: counting([2, 4], 100 * index),
    "layers.0.attention.wo.weight": counting([4, 2], 100 * index),
    "tok_embeddings.weight": counting(embedding, 100 * index),
    "norm.weight": counting([4]),
  });
  const shards = (...contents: Record<string, PthTensor>[]) =>
    countedFiles({
      "m/params.json": params,
      ...Object.fromEntries(contents.map((tensors, i) => [`m/consolidated.0${i}.pth`, buildPth(tensors)])),
    });

  it("puts rows below each other and columns side by side", async () => {
    const file = await openMeta("m/consolidated.01.pth", shards(shard(0), shard(1)));
    expect(file.paths).toEqual(["m/consolidated.00.pth", "m/consolidated.01.pth"]);
    const query = file.tensors.get(wq)!;
    expect([query.rows, query.columns]).toEqual([4, 4]);
    expect(await floatsOf(query, 1, 2)).toEqual([4, 5, 6, 7, 100, 101, 102, 103]);
    const output = file.tensors.get("layers.0.attention.wo.weight")!;
    expect([output.rows, output.columns]).toEqual([4, 4]);
    expect(await floatsOf(output, 2, 1)).toEqual([4, 5, 104, 105]);
    const embedding = file.tensors.get("tok_embeddings.weight")!;
    expect([embedding.rows, embedding.columns]).toEqual([5, 4]);
    expect(await floatsOf(embedding, 0, 2)).toEqual([0, 1, 100, 101, 2, 3, 102, 103]);
    expect(file.tensors.get("norm.weight")!.rows).toBe(1);
  });

  it("tells Llama 3's embedding, cut by vocabulary, by its width", async () => {
    const file = await openMeta("m", shards(shard(0, [3, 4]), shard(1, [3, 4])));
    const embedding = file.tensors.get("tok_embeddings.weight")!;
    expect([embedding.rows, embedding.columns]).toEqual([6, 4]);
    expect(await floatsOf(embedding, 2, 2)).toEqual([8, 9, 10, 11, 100, 101, 102, 103]);
  });

  it("reads any rows of joined pieces as of the whole", async () => {
    const file = await openMeta("m", shards(shard(0), shard(1)));
    for (const tensor of file.tensors.values()) {
      const all = await floatsOf(tensor);
      await fc.assert(
        fc.asyncProperty(fc.nat(tensor.rows), fc.nat(tensor.rows), async (a, b) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          expect(await floatsOf(tensor, from, to - from)).toEqual(
            all.slice(from * tensor.columns, to * tensor.columns),
          );
        }),
        { numRuns: 20 },
      );
    }
  });

  it("tells which shard is missing", async () => {
    const pth = buildPth(shard(0));
    const hole = countedFiles({
      "m/consolidated.00.pth": pth,
      "m/consolidated.02.pth": pth,
      "m/params.json": params,
    });
    await expect(openMeta("m", hole)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("consolidated.01.pth is missing"),
    });
    await expect(openMeta("m", shards(shard(0)))).rejects.toThrow("hold 2 of the 4 rows of wq");
    await expect(openMeta("m", countedFiles({ "m/params.json": params }))).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it("refuses shards that do not fit together, and closes them", async () => {
    const { [wq]: _, ...without } = shard(1);
    const cases: [Record<string, PthTensor>, string][] = [
      [without, "shard 0 has layers.0.attention.wq.weight, but shard 1 has not"],
      [{ ...shard(1), "more.weight": counting([1]) }, "shard 1 has more.weight, but shard 0 has not"],
      [{ ...shard(1), [wq]: counting([2, 3]) }, "F32 [2, 4] in shard 0, but F32 [2, 3] in shard 1"],
      [{ ...shard(1), "norm.weight": counting([3]) }, "F32 [1, 4] in shard 0, but F32 [1, 3] in shard 1"],
    ];
    for (const [second, message] of cases) {
      const files = shards(shard(0), second);
      await expect(openMeta("m", files)).rejects.toThrow(message);
      expect(files.openCount()).toBe(0);
    }
    const biased = (index: number) => ({ ...shard(index), "layers.0.attention.wq.bias": counting([2]) });
    await expect(openMeta("m", shards(biased(0), biased(1)))).rejects.toMatchObject({ code: "unsupported" });
    const narrow = (index: number) => shard(index, [5, 3]);
    await expect(openMeta("m", shards(narrow(0), narrow(1)))).rejects.toThrow("do not make dim 4");
  });
});

describe("openMeta on a checkpoint that PyTorch wrote", () => {
  const folder = join(import.meta.dirname, "../../../tests/fixtures/meta-tiny");
  const names = ["consolidated.00.pth", "consolidated.01.pth", "params.json"];

  it("finds the shards where folders cannot be listed", async () => {
    const entries = names.map(async (name) => [`m/${name}`, await readFile(join(folder, name))] as const);
    const files = {
      ...countedFiles(Object.fromEntries(await Promise.all(entries))),
      list: async () => undefined,
    };
    const file = await openMeta("m/consolidated.00.pth", files);
    expect(file.paths).toEqual(["m/consolidated.00.pth", "m/consolidated.01.pth"]);
    await file.close();
  });

  it("gives every value of every tensor", async () => {
    const contents = await Promise.all(
      names.map(async (name) => new Uint8Array(await readFile(join(folder, name)))),
    );
    const files = countedFiles(Object.fromEntries(names.map((name, i) => [`m/${name}`, contents[i]!])));
    const file = await openMeta("m", files);
    const sorted = [...file.tensors.keys()].sort();
    expect(sorted).toHaveLength(3 + 9 * 2);
    expect(file.tensors.get("output.weight")).toMatchObject({ rows: 10, columns: 8, format: "F16" });
    expect(file.tensors.get("norm.weight")!.format).toBe("F32");
    expect(file.tensors.get("layers.1.ffn_norm.weight")!.format).toBe("BF16");
    for (const [index, name] of sorted.entries()) {
      const tensor = file.tensors.get(name)!;
      const expected: number[] = [];
      for (let row = 0; row < tensor.rows; row++)
        for (let column = 0; column < tensor.columns; column++)
          expected.push(((index * 31 + row * 7 + column) % 256) / 16);
      expect(await floatsOf(tensor), name).toEqual(expected);
    }
    await file.close();
    expect(files.openCount()).toBe(0);
  });
});
