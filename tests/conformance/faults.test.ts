/** What goes wrong, or on for long: a typed error, the model usable afterwards, and no memory that stays taken. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import { load } from "../../src/node.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { writeTinyModel } from "../tiny-model.ts";

let folder = "";
let path = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-faults-"));
  path = join(folder, "tiny.gguf");
  await writeTinyModel(path, { contextLength: 2048 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const prompt = (length: number) => Array.from({ length }, (_, i) => 260 + ((i * 37) % 190));
const greedy = { temperature: 0, ignoreEnd: true } as const;

describe("a model on the CPU device", () => {
  it("can be loaded and disposed 100 times: resident memory stays flat", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const outside: number[] = [];
    const inside: number[] = [];
    for (let turn = 0; turn < 100; turn++) {
      using model = await load(path, { device: "wasm", threads: 2 });
      await model.generate(prompt(20), { ...greedy, maxTokens: 4 }).result();
      collectGarbage();
      const { rss, heapTotal, heapUsed } = process.memoryUsage();
      // How large the engine makes its heap is its own affair; what is used of it, and what is resident beside it, is ours.
      outside.push(rss - heapTotal);
      inside.push(heapUsed);
    }
    // The first loads warm the process up. What each load takes is far more than the growth allowed: its cache alone is 1 MB.
    const mean = (list: readonly number[]) => list.reduce((sum, bytes) => sum + bytes, 0) / list.length;
    const growth = (list: readonly number[]) => mean(list.slice(80)) - mean(list.slice(30, 50));
    expect(growth(outside)).toBeLessThan(20e6);
    expect(growth(inside)).toBeLessThan(2e6);
  }, 300_000);

  it("aborted in the midst of a prompt says so, and answers the next one as if nothing had been", async () => {
    using model = await load(path, { device: "wasm", threads: 2 });
    const wanted = await model.generate(prompt(1500), { ...greedy, maxTokens: 5 }).result();
    using other = await load(path, { device: "wasm", threads: 2 });
    const stop = new AbortController();
    let seen = 0;
    const aborted = other
      .generate(prompt(1500), {
        ...greedy,
        signal: stop.signal,
        onPromptProgress: (done) => {
          seen = done;
          stop.abort();
        },
      })
      .result();
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    expect(seen).toBeLessThan(1500);
    const { ids, timings } = await other.generate(prompt(1500), { ...greedy, maxTokens: 5 }).result();
    expect(ids).toEqual(wanted.ids);
    // What was read before the abort is still known.
    expect(timings.cache_n).toBeGreaterThan(0);
  });

  it("that does not fit the memory is refused before it is loaded, with what would help", async () => {
    await expect(load(path, { device: "wasm", sequences: 257 })).rejects.toMatchObject({ code: "bad-input" });
    const platform = { files: nodeFiles, createDevice: createWasmDevice, hashFiles, memoryBytes: 100_000 };
    await expect(loadModel(path, platform)).rejects.toMatchObject({
      code: "no-memory",
      message: expect.stringContaining("this process may have 0.00 GB"),
    });
    const device = await createWasmDevice();
    const limit = device.memoryLimit as number;
    expect(() => device.allocate(limit + 65_536)).toThrow(expect.objectContaining({ code: "no-memory" }));
    // And goes on working.
    const memory = device.allocate(1024);
    device.write(memory, new Uint8Array(1024).fill(7));
    expect((await device.read(memory))[1023]).toBe(7);
    device.dispose();
  });
});
