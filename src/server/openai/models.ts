/**
 * GET /v1/models and /v1/models/:id: the one model that is served, with llama.cpp's facts about it.
 *
 * Flow: ServerContext → JSON.
 */

import type { ModelConfig } from "../../model/config.ts";
import { requestFields } from "../../model/recommended-sampling.ts";
import { expectedShapes } from "../../model/weights.ts";
import type { ServerContext } from "../context.ts";

export function listModels(context: ServerContext): object {
  return { object: "list", data: [describeModel(context)] };
}

/** @throws {RequestError} 404 for another name, 503 while loading. */
export function describeModel(context: ServerContext, asked?: string): object {
  const model = context.modelFor(asked);
  const { config, contextLength } = model;
  return {
    id: context.name(),
    object: "model",
    created: context.created,
    owned_by: "cria",
    max_model_len: contextLength,
    meta: {
      vocab_type: model.tokenizer.kind === "sentencepiece" ? 1 : 2,
      n_vocab: config.vocabularySize,
      n_ctx: contextLength,
      n_ctx_train: config.contextLength,
      n_embd: config.width,
      n_params: parameterCount(context, config),
      ...(context.options.details?.byteLength === undefined
        ? {}
        : { size: context.options.details.byteLength }),
      sampling: requestFields(model.sampling),
    },
  };
}

/** As the file says, else as the shapes of the weights say, taking the head for a matrix of its own. */
export function parameterCount(context: ServerContext, config: ModelConfig): number {
  const known = context.options.details?.parameterCount;
  if (known !== undefined) return known;
  let sum = config.vocabularySize * config.width;
  for (const [rows, columns] of expectedShapes(config).values()) sum += rows * columns;
  return sum;
}
