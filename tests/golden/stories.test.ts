/**
 * stories260K, a trained model of 260 thousand parameters: its greedy text must come out to the byte, from llama2.c's
 * own file and from every file that we convert it to; and llama.cpp must read our GGUF the same way.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import type { Model } from "../../src/generate/model.ts";
import { convertModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { dataFile } from "../data.ts";

const bin = dataFile("models/stories260K/stories260K.bin");
const platform = { files: nodeFiles, createDevice: createReferenceDevice, hashFiles };
let folder = "";
let expected = "";

async function greedy(model: Model): Promise<string> {
  const { text } = await model.generate("", { temperature: 0, maxTokens: 256 }).result();
  model.dispose();
  return text;
}

describe.skipIf(!bin)("stories260K", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-golden-"));
    const notes = await readFile(dataFile("models/stories260K/stories260K.md") as string, "utf8");
    // The first fenced block that shows a greedy run: the lines after its command.
    expected = /-t 0\.0\n([\s\S]*?)\n```/.exec(notes)?.[1] ?? "";
    expect(expected).toMatch(/^Once upon a time/);
    await convertModel(bin as string, join(folder, "s.gguf"), nodeFiles);
    await convertModel(join(folder, "s.gguf"), join(folder, "hugging-face"), nodeFiles);
    await convertModel(join(folder, "hugging-face"), join(folder, "again.gguf"), nodeFiles);
    await convertModel(join(folder, "s.gguf"), join(folder, "copy.gguf"), nodeFiles);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("from llama2.c's file, with the tokenizer found beside it", async () => {
    expect(await greedy(await loadModel(bin as string, platform))).toBe(expected);
  });

  it.each(["s.gguf", "hugging-face", join("hugging-face", "model.safetensors"), "again.gguf"])(
    "from %s",
    async (path) => {
      expect(await greedy(await loadModel(join(folder, path), platform))).toBe(expected);
    },
  );

  it("a GGUF converted to GGUF is the same file; through safetensors its tensors are", async () => {
    const original = await readFile(join(folder, "s.gguf"));
    expect(Buffer.compare(await readFile(join(folder, "copy.gguf")), original)).toBe(0);
    const again = await readFile(join(folder, "again.gguf"));
    const data = 1_000_000;
    expect(Buffer.compare(again.subarray(-data), original.subarray(-data))).toBe(0);
  });

  it("in two parts, a second answer reusing the first's prompt", async () => {
    const model = await loadModel(bin as string, platform);
    const half = expected.slice(0, 400);
    const first = await model.generate(half, { temperature: 0, maxTokens: 30 }).result();
    const again = await model.generate(half, { temperature: 0, maxTokens: 30 }).result();
    expect(again.text).toBe(first.text);
    expect(first.timings.cache_n).toBe(0);
    expect(again.timings.cache_n).toBe(again.promptIds.length - 1);
  });

  it("ends at the context with `length`, and refuses a prompt that fills it", async () => {
    const model = await loadModel(bin as string, platform, { contextLength: 40 });
    const result = await model.generate("Once upon a time", { temperature: 0 }).result();
    expect(result.finishReason).toBe("length");
    expect(result.promptIds.length + result.ids.length).toBe(40);
    await expect(model.generate(expected, {}).result()).rejects.toMatchObject({ code: "context-full" });
  });

  it("repeats a sampled text from its seed, reports log-probabilities that fit, and obeys stop strings", async () => {
    const model = await loadModel(bin as string, platform);
    const options = { seed: 7, temperature: 1, maxTokens: 60, logProbabilities: 3 } as const;
    const first = await model.generate("Once upon", options).result();
    const second = await model.generate("Once upon", options).result();
    expect(second.ids).toEqual(first.ids);
    expect((await model.generate("Once upon", { ...options, seed: 8 }).result()).ids).not.toEqual(first.ids);

    // The same ids as a prompt get the same log-probabilities.
    const whole = [...first.promptIds, ...first.ids];
    const scored = await model.generate(whole, { maxTokens: 0, promptLogProbabilities: true }).result();
    const tail = scored.promptLogProbabilities?.slice(first.promptIds.length) ?? [];
    expect(tail.length).toBe(first.ids.length);
    tail.forEach((value, index) => {
      expect(value).toBeCloseTo(first.logProbabilities?.[index] ?? Number.NaN, 4);
    });

    const word = /\w+ \w+/.exec(first.text.slice(40))?.[0] as string;
    const stopped = await model.generate("Once upon", { ...options, stop: [word] }).result();
    expect(stopped.finishReason).toBe("stop");
    expect(stopped.text).toBe(first.text.slice(0, first.text.indexOf(word)));
  });
});
