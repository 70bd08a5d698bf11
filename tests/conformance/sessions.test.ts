/** Sessions: a file from which another process's model goes on as if it had read the text itself. */
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { cacheFormats } from "../../src/ops/store.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { startThread } from "../../src/platform/node/threads.ts";
import type { Device } from "../../src/tensor/device.ts";
import { writeTinyModel } from "../tiny-model.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cria-sessions-"));
  // Heads of 32 channels, so that a cache can have blocks.
  await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512, width: 128 });
  await writeTinyModel(join(folder, "other.gguf"), { contextLength: 512, width: 128, seed: 8 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const devices: readonly [string, () => Device | Promise<Device>][] = [
  ["reference", createReferenceDevice],
  ["wasm with 2 threads", () => createWasmDevice({ startThread, threadCount: 2 })],
];

const settings = devices.flatMap(([name, createDevice]) =>
  cacheFormats.map((cacheFormat) => ({ name, createDevice, cacheFormat })),
);

describe.each(settings)("$name, a cache of $cacheFormat", ({ createDevice, cacheFormat }) => {
  const open = (name = "tiny.gguf", options = {}): Promise<Model> =>
    loadModel(join(folder, name), { files: nodeFiles, createDevice, hashFiles }, { cacheFormat, ...options });
  // Longer than a page, and no whole number of pages.
  const prompt = [1, ...Array.from({ length: 149 }, (_, i) => 260 + ((i * 37) % 200))];
  const options = { temperature: 0, maxTokens: 20, ignoreEnd: true };
  const path = () => join(folder, "kept.session");

  it("goes on in another model from what was kept, with the same ids", async () => {
    using first = await open();
    const answer = await first.generate(prompt, options).result();
    // The last id that was made is not read yet.
    const held = [...prompt, ...answer.ids].slice(0, -1);
    expect(await first.saveSession(path())).toBe(held.length);
    const more = [...prompt, ...answer.ids, 301, 302];
    const wanted = await first.generate(more, options).result();

    using second = await open("tiny.gguf", { sequences: 2 });
    expect(await second.restoreSession(path())).toEqual(held);
    const continued = await second.generate(more, options).result();
    expect(continued.timings.cache_n).toBe(held.length);
    expect(continued.ids).toEqual(wanted.ids);
  });

  it("shares the restored pages with other sequences", async () => {
    using model = await open("tiny.gguf", { sequences: 2 });
    const held = (await model.restoreSession(path())).length;
    const results = await Promise.all(
      [290, 291].map((id) => model.generate([...prompt, id], options).result()),
    );
    expect(results.map(({ timings }) => timings.cache_n).sort()).toEqual([
      Math.floor(prompt.length / 64) * 64,
      prompt.length,
    ]);
    expect(held).toBeGreaterThan(prompt.length);
  });

  it("refuses another model or cache format, a damaged file, another kind of file, too short a context", async () => {
    using other = await open("other.gguf");
    await expect(other.restoreSession(path())).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("another model"),
    });
    using model = await open();
    await expect(model.restoreSession(join(folder, "none"))).rejects.toMatchObject({ code: "not-found" });
    const cut = join(folder, "cut.session");
    await writeFile(cut, await readFile(path()));
    await truncate(cut, (await stat(cut)).size - 10);
    await expect(model.restoreSession(cut)).rejects.toMatchObject({ code: "bad-file" });
    await expect(model.restoreSession(join(folder, "tiny.gguf"))).rejects.toMatchObject({ code: "bad-file" });
    using values = await open("tiny.gguf", {
      cacheFormat: { keys: cacheFormat, values: cacheFormats.find((f) => f !== cacheFormat) },
    });
    await expect(values.restoreSession(path())).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(
        `keys/values are ${cacheFormat}/${cacheFormat}; the model keeps ${cacheFormat}/`,
      ),
    });
    using short = await open("tiny.gguf", { contextLength: 64 });
    await expect(short.restoreSession(path())).rejects.toMatchObject({ code: "context-full" });
    // All are usable afterwards, and begin from nothing.
    const { timings } = await model.generate(prompt, options).result();
    expect(timings.cache_n).toBe(0);
  });

  it("refuses a file with one bit turned round, in its ids or in its rows, and lets no other sequence find it", async () => {
    const whole = await readFile(path());
    const header = Number(whole.readBigUInt64LE(0));
    const digit = whole.indexOf('"ids":"[1,') + 10;
    const turned = join(folder, "turned.session");
    using model = await open();
    for (const at of [digit, 8 + header, whole.length - 1]) {
      const bytes = Buffer.from(whole);
      bytes[at] ^= 1;
      await writeFile(turned, bytes);
      await expect(model.restoreSession(turned)).rejects.toMatchObject({
        code: "bad-file",
        message: expect.stringContaining("checksum"),
      });
    }
    const { timings } = await model.generate(prompt, options).result();
    expect(timings.cache_n).toBe(0);
  });

  it("keeps nothing when it is aborted", async () => {
    using model = await open();
    await model.generate(prompt, options).result();
    const aborted = join(folder, "aborted.session");
    await expect(model.saveSession(aborted, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "aborted",
    });
    expect(await nodeFiles.exists(aborted)).toBe(false);
  });
});
