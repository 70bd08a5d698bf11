/** Parquet files as other programs write them; scripts/oracle/parquet.py made these. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { exampleOf } from "../../src/train/data/example.ts";
import { type DataRecord, readRecords } from "../../src/train/data/records.ts";
import { memoryFiles } from "../memory-files.ts";

async function all(records: AsyncIterable<DataRecord>): Promise<DataRecord[]> {
  const list: DataRecord[] = [];
  for await (const record of records) list.push(record);
  return list;
}

it.each(["none", "snappy", "gzip", "zstd", "brotli", "lz4"])("with %s", async (compression) => {
  const path = join(import.meta.dirname, "..", "fixtures", "parquet", `${compression}.parquet`);
  const records = await all(readRecords(path, nodeFiles));
  expect(records).toHaveLength(50);
  expect(records[21].where).toBe(`${path}, row 22`);
  expect(exampleOf(records[21])).toEqual({
    kind: "chat",
    messages: [
      { role: "user", content: "What is 21 and 21?" },
      { role: "assistant", content: "It is 42, naïvely." },
    ],
  });
});

it("with a column of nulls, compressed, and with whole numbers in the arguments of calls", async () => {
  const path = join(import.meta.dirname, "..", "fixtures", "parquet", "calls.parquet");
  const [record] = await all(readRecords(path, nodeFiles));
  const user = { role: "user", content: "q" };
  expect(exampleOf(record)).toEqual({
    kind: "preference",
    prompt: [user],
    chosen: [{ role: "assistant", content: "", toolCalls: [{ name: "f", arguments: { x: 5 } }] }],
    rejected: [{ role: "assistant", content: "b" }],
  });
});

it("says of a file that is cut off that it is broken", async () => {
  const path = join(import.meta.dirname, "..", "fixtures", "parquet", "zstd.parquet");
  const bytes = new Uint8Array(readFileSync(path));
  await expect(
    all(readRecords("a.parquet", memoryFiles({ "a.parquet": bytes.subarray(0, 2000) }))),
  ).rejects.toMatchObject({
    code: "bad-file",
    message: expect.stringMatching(/^a\.parquet: broken Parquet/),
  });
  const damaged = bytes.slice();
  damaged.fill(0xff, 4, 400);
  await expect(all(readRecords("a.parquet", memoryFiles({ "a.parquet": damaged })))).rejects.toMatchObject({
    code: "bad-file",
  });
});
