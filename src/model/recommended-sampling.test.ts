import { describe, expect, it } from "vitest";
import { memoryFiles } from "../../tests/memory-files.ts";
import type { Metadata, TensorFile } from "../files/stored-tensor.ts";
import { findRecommendedSampling, generationConfigJson, recommendedEntries } from "./recommended-sampling.ts";

function fileOf(kind: TensorFile["kind"], metadata: Metadata = new Map()): TensorFile {
  const nothing = { config: {}, tensors: new Map(), paths: [], byteLength: 0, async close() {} };
  return { kind, name: "m/model", metadata, ...nothing };
}

function ofGguf(settings: Record<string, number | string>) {
  const metadata = Object.entries(settings).map(
    ([key, value]) => [`general.sampling.${key}`, value] as const,
  );
  return findRecommendedSampling(fileOf("gguf", new Map(metadata)), memoryFiles());
}

const ofFolder = (text: string) =>
  findRecommendedSampling(fileOf("safetensors"), memoryFiles({ "m/generation_config.json": text }));

describe("what a model's files recommend", () => {
  it("is read from a GGUF's keys, as numbers that people wrote", async () => {
    const f32 = Math.fround;
    expect(
      await ofGguf({
        temp: f32(0.6),
        top_k: 20,
        top_p: f32(0.95),
        penalty_repeat: f32(1.05),
        penalty_last_n: -1,
      }),
    ).toEqual({ temperature: 0.6, topK: 20, topP: 0.95, repeatPenalty: 1.05, repeatLastN: -1 });
    expect(await ofGguf({})).toEqual({});
  });

  it("is read from generation_config.json", async () => {
    const text = JSON.stringify({
      do_sample: true,
      temperature: 0.6,
      top_p: 0.9,
      eos_token_id: [1, 2],
      min_p: null,
    });
    expect(await ofFolder(text)).toEqual({ temperature: 0.6, topP: 0.9 });
    expect(await findRecommendedSampling(fileOf("safetensors"), memoryFiles())).toEqual({});
  });

  it("says what other programs' extremes mean", async () => {
    expect(await ofGguf({ temp: -1, top_k: -1, top_p: 1.5, min_p: -1, penalty_repeat: 0 })).toEqual({
      ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 },
    });
    expect((await ofGguf({ top_p: 0 })).topP).toBeGreaterThan(0);
    expect(await ofGguf({ top_k: 20.4, penalty_last_n: 63.6 })).toEqual({ topK: 20, repeatLastN: 64 });
  });

  it("is an error where it is no number at all, as the sampler would say only at every answer", async () => {
    for (const temp of [Number.NaN, Number.POSITIVE_INFINITY, "hot"])
      await expect(ofGguf({ temp })).rejects.toMatchObject({
        code: "bad-file",
        message: expect.stringContaining("general.sampling.temp"),
      });
  });

  it.each(["{", "[1]", "null", '{"temperature": "hot"}'])("names the file where it is %s", async (text) => {
    const error = { code: "bad-file", message: expect.stringContaining("m/generation_config.json") };
    await expect(ofFolder(text)).rejects.toMatchObject(error);
  });

  it("comes back from what is written", async () => {
    const sampling = { temperature: 0.7, topK: 50, topP: 0.8, minP: 0.1, repeatPenalty: 1.1 };
    const entries = recommendedEntries({ ...sampling, repeatLastN: 32 });
    const metadata = new Map(entries.map(({ key, value }) => [key, value]));
    expect(await findRecommendedSampling(fileOf("gguf", metadata), memoryFiles())).toEqual({
      ...sampling,
      repeatLastN: 32,
    });
    expect(await ofFolder(generationConfigJson(sampling)!)).toEqual(sampling);
    expect(generationConfigJson({ repeatLastN: 32 })).toBeUndefined();
  });
});
