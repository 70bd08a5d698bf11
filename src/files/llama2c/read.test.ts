import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildLlama2c, type Llama2cShape, smallShape } from "../../../tests/builders/llama2c.ts";
import { dataFile } from "../../../tests/data.ts";
import { memorySource } from "../byte-source.ts";
import type { StoredTensor } from "../stored-tensor.ts";
import { openLlama2c } from "./read.ts";

const open = (bytes: Uint8Array) => openLlama2c(memorySource(bytes, "model.bin"));

async function floatsOf(tensor: StoredTensor, rowFirst = 0, rowCount = tensor.rows): Promise<Float32Array> {
  const bytes = await tensor.readRows(rowFirst, rowCount);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

const versions = [0, 1, 2] as const;

describe.each(versions)("llama2.c version %i", (version) => {
  it.each([true, false])("gives every tensor its values (tied: %s)", async (tied) => {
    const { bytes, values } = buildLlama2c(version, { ...smallShape, tied });
    const file = await open(bytes);
    expect([...file.tensors.keys()].sort()).toEqual([...values.keys()].sort());
    for (const [name, expected] of values)
      expect(await floatsOf(file.tensors.get(name)!), name).toEqual(expected);
    expect(file.tensors.has("output.weight")).toBe(!tied);
    expect(file.config.tied).toBe(tied);
  });

  it("tells the header under Meta's names", async () => {
    const file = await open(buildLlama2c(version).bytes);
    expect(file.kind).toBe("llama2c");
    expect(file.config).toMatchObject({
      dim: 8,
      hidden_dim: 12,
      n_layers: 2,
      n_heads: 4,
      n_kv_heads: 2,
      vocab_size: 10,
      max_seq_len: 6,
    });
    const w2 = file.tensors.get("layers.1.feed_forward.w2.weight")!;
    expect([w2.rows, w2.columns]).toEqual([8, 12]);
  });

  it("reads any rows of a tensor alone", async () => {
    const { bytes, values } = buildLlama2c(version);
    const w2 = (await open(bytes)).tensors.get("layers.0.feed_forward.w2.weight")!;
    const all = values.get(w2.name)!;
    for (let row = 0; row < w2.rows; row++)
      expect(await floatsOf(w2, row, 1)).toEqual(all.slice(row * w2.columns, (row + 1) * w2.columns));
    expect((await w2.readRows(3, 0)).length).toBe(0);
    await expect(w2.readRows(7, 2)).rejects.toMatchObject({ code: "bad-input" });
  });

  it("refuses a byte too many and a byte too few", async () => {
    const { bytes } = buildLlama2c(version);
    await expect(open(bytes.slice(0, -1))).rejects.toMatchObject({ code: "bad-file" });
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    await expect(open(longer)).rejects.toThrow(
      `asks for ${bytes.length} bytes, but the file has ${bytes.length + 1}`,
    );
  });

  it("refuses headers no model can have, whatever their sizes", async () => {
    const { bytes } = buildLlama2c(version);
    const first = version === 0 ? 0 : 8;
    for (let field = 0; field < 7; field++)
      for (const value of [0, -1, -(2 ** 31), 2 ** 31 - 1, 65_536]) {
        // After version 0 no bytes depend on the context length.
        if (version > 0 && field === 6 && value > 0) continue;
        const broken = bytes.slice();
        new DataView(broken.buffer).setInt32(first + 4 * field, value, true);
        await expect(open(broken), `${field} = ${value}`).rejects.toMatchObject({ code: "bad-file" });
      }
  });
});

describe("llama2.c files", () => {
  it("read groups that begin within a row", async () => {
    // Rows of w2 have 12 values: groups of 8 straddle them.
    const shape: Llama2cShape = { ...smallShape, groupSize: 8 };
    const { bytes, values } = buildLlama2c(2, shape);
    const w2 = (await open(bytes)).tensors.get("layers.1.feed_forward.w2.weight")!;
    await fc.assert(
      fc.asyncProperty(fc.nat(7), fc.nat(8), async (rowFirst, count) => {
        const rowCount = Math.min(count, w2.rows - rowFirst);
        const expected = values.get(w2.name)!.slice(rowFirst * 12, (rowFirst + rowCount) * 12);
        expect(await floatsOf(w2, rowFirst, rowCount)).toEqual(expected);
      }),
    );
  });

  it("refuse a group size that does not fill a tensor", async () => {
    const { bytes } = buildLlama2c(2);
    new DataView(bytes.buffer).setInt32(37, 7, true);
    await expect(open(bytes)).rejects.toThrow("groups of 7 do not fill");
  });

  it("refuse other versions and other files", async () => {
    const { bytes } = buildLlama2c(1);
    new DataView(bytes.buffer).setInt32(4, 3, true);
    await expect(open(bytes)).rejects.toMatchObject({ code: "unsupported" });
    await expect(open(new Uint8Array(27))).rejects.toMatchObject({ code: "bad-file" });
    await expect(
      open(new TextEncoder().encode("just some text, long enough to be a header")),
    ).rejects.toMatchObject({
      code: "bad-file",
    });
  });

  const stories = dataFile("models/stories260K/stories260K.bin");
  it.skipIf(!stories)(
    "open stories260K with norms near one and a rope table where it should be",
    async () => {
      const bytes = new Uint8Array(await readFile(stories!));
      const file = await open(bytes);
      expect(file.config).toMatchObject({
        dim: 64,
        n_layers: 5,
        n_heads: 8,
        n_kv_heads: 4,
        vocab_size: 512,
        tied: true,
      });
      expect(file.tensors.size).toBe(2 + 9 * 5);
      // Trained gains are positive and of the order of one: a wrong order of tensors would show.
      for (const [name, tensor] of file.tensors)
        if (name.endsWith("norm.weight")) {
          const gains = await floatsOf(tensor);
          expect(Math.min(...gains), name).toBeGreaterThan(0);
          expect(Math.max(...gains), name).toBeLessThan(20);
        } else {
          const weights = await floatsOf(tensor);
          const mean = weights.reduce((sum, value) => sum + value, 0) / weights.length;
          expect(Math.abs(mean), name).toBeLessThan(0.1);
        }
    },
  );
});
