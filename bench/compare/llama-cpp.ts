/** llama.cpp as an engine under measurement, through node-llama-cpp: processor only, keys and values as f16. */
import { readFileSync } from "node:fs";
import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";
import { serve } from "./protocol.ts";

const { version } = JSON.parse(
  readFileSync(new URL("../node_modules/node-llama-cpp/package.json", import.meta.url), "utf8"),
) as { version: string };

await serve(`node-llama-cpp ${version}`, async ({ model: path, threads, contextLength, sequences }) => {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
    logger: (level, message) => process.stderr.write(`llama.cpp ${level}: ${message}\n`),
  });
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: contextLength,
    sequences,
    threads,
    batchSize: Math.min(contextLength, 512),
    flashAttention: false,
  });
  const all = Array.from({ length: sequences }, () => context.getSequence());
  return async function* (ids, count, index) {
    const sequence = all[index];
    const held = sequence.contextTokens;
    let shared = 0;
    while (shared < ids.length - 1 && held[shared] === ids[shared]) shared++;
    await sequence.eraseContextTokenRanges([{ start: shared, end: sequence.nextTokenIndex }]);
    const tokens = ids.slice(shared) as Token[];
    let made = 0;
    for await (const token of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
      yield token;
      if (++made === count) return;
    }
  };
});
process.exit(0);
