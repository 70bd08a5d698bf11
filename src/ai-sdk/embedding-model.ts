/** A loaded model as the AI SDK's embedding model. */
import type { EmbeddingModelV4 } from "@ai-sdk/provider";
import type { Model } from "../generate/model.ts";
import { abortErrorOf } from "./abort.ts";

export function criaEmbeddingModel(model: Model, modelId: string): EmbeddingModelV4 {
  return {
    specificationVersion: "v4",
    provider: "cria",
    modelId,
    maxEmbeddingsPerCall: undefined,
    supportsParallelCalls: true,
    doEmbed: async ({ values, abortSignal }) => {
      try {
        const vectors = await model.embed(values, abortSignal ? { signal: abortSignal } : {});
        const tokens = values.reduce((sum, value) => sum + model.promptOf(value).ids.length, 0);
        return { embeddings: vectors.map((vector) => Array.from(vector)), usage: { tokens }, warnings: [] };
      } catch (error) {
        throw abortErrorOf(error, abortSignal);
      }
    },
  };
}
