/** llama.cpp on the GGUF that we made of stories260K: the same greedy text, the same perplexity. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createReferenceDevice } from "../../src/devices/reference/device.ts";
import { perplexity } from "../../src/evaluate/perplexity.ts";
import { loadModel } from "../../src/generate/load-model.ts";
import { convertModel } from "../../src/model/convert.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { hashFiles } from "../../src/platform/node/hash.ts";
import { dataFile } from "../data.ts";
import { llamaCppIsInstalled, startLlamaCpp } from "./llama-cpp-client.ts";

const bin = dataFile("models/stories260K/stories260K.bin");
const text = dataFile("text/tinystories/tinystories.txt");

describe.skipIf(!bin || !text || !llamaCppIsInstalled())("stories260K in llama.cpp", () => {
  it("gives the same greedy ids and the same perplexity from our GGUF", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cria-oracle-"));
    try {
      const gguf = join(folder, "s.gguf");
      await convertModel(bin as string, gguf, nodeFiles);
      const platform = { files: nodeFiles, createDevice: createReferenceDevice, hashFiles };
      const model = await loadModel(gguf, platform);
      await using oracle = await startLlamaCpp(gguf, { contextSize: 512 });
      if (!oracle) return;

      const ours = await model.generate("", { temperature: 0, maxTokens: 200 }).result();
      const theirs = await oracle.request({ method: "greedy", ids: [1], count: 200, ignoreEnd: false });
      expect(theirs.ids).toEqual(ours.ids);

      const sample = (await readFile(text as string, "utf8")).slice(0, 20_000);
      const result = await perplexity(model, sample, { chunkLength: 512 });
      const reference = await oracle.request({
        method: "perplexity",
        text: sample,
        contextSize: 512,
        chunkCount: 1000,
      });
      expect(result.tokenCount).toBe(reference.scoredCount);
      expect(Math.abs(result.perplexity / reference.perplexity - 1)).toBeLessThan(0.001);
      console.log(`stories260K perplexity: ours ${result.perplexity}, llama.cpp ${reference.perplexity}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
