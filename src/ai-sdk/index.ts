/**
 * Cria as a provider of the AI SDK (npm `ai` 7), in the same process.
 *
 *   const cria = createCria(await load("hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M"));
 *   const { text } = await generateText({ model: cria(), prompt: "Hello!" });
 */
import type { EmbeddingModelV4, ImageModelV4, LanguageModelV4, ProviderV4 } from "@ai-sdk/provider";
import { Model } from "../generate/model.ts";
import { CriaError } from "../shared/errors.ts";
import { criaEmbeddingModel } from "./embedding-model.ts";
import { criaLanguageModel } from "./language-model.ts";

export interface CriaProvider extends ProviderV4 {
  /** The model of this id; without one, the only or first model. */
  (modelId?: string): LanguageModelV4;
  languageModel(modelId?: string): LanguageModelV4;
  embeddingModel(modelId?: string): EmbeddingModelV4;
}

/** Makes a provider of one loaded model, or of several by id. */
export function createCria(models: Model | Readonly<Record<string, Model>>): CriaProvider {
  const byId = new Map(isModel(models) ? [[models.name, models]] : Object.entries(models));
  const find = (modelId?: string): [Model, string] => {
    const id = modelId ?? byId.keys().next().value ?? "";
    const model = byId.get(id);
    if (!model)
      throw new CriaError(
        "not-found",
        `model ${JSON.stringify(id)}: there are ${[...byId.keys()].join(", ") || "none"}`,
      );
    return [model, id];
  };
  const languageModel = (modelId?: string) => criaLanguageModel(...find(modelId));
  return Object.assign((modelId?: string) => languageModel(modelId), {
    specificationVersion: "v4" as const,
    languageModel,
    embeddingModel: (modelId?: string) => criaEmbeddingModel(...find(modelId)),
    imageModel: (modelId: string): ImageModelV4 => {
      throw new CriaError("unsupported", `imageModel ${JSON.stringify(modelId)}: the models make text only`);
    },
  });
}

function isModel(models: Model | Readonly<Record<string, Model>>): models is Model {
  return models instanceof Model || typeof (models as { generate?: unknown }).generate === "function";
}
