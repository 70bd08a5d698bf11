/**
 * What Ollama's clients ask about models: /api/tags, /api/ps, /api/show and /api/version. There is one model, and it is
 * loaded.
 *
 * Flow: ServerContext → JSON.
 */
import { type RecommendedSampling, requestFields } from "../../model/recommended-sampling.ts";
import type { ServerContext } from "../context.ts";
import { parameterCount } from "../openai/models.ts";

/** The version of Ollama's API that is spoken; clients compare it before they use a feature. */
const API_VERSION = "0.6.4";

export function ollamaVersion(): object {
  return { version: API_VERSION };
}

export async function ollamaTags(context: ServerContext): Promise<object> {
  return { models: [await modelEntry(context)] };
}

export async function ollamaProcesses(context: ServerContext): Promise<object> {
  const entry = await modelEntry(context);
  const { contextLength } = context.model();
  // It stays loaded as long as the server runs.
  const expires = new Date(Date.now() + 10 * 365 * 86_400_000).toISOString();
  return { models: [{ ...entry, expires_at: expires, size_vram: 0, context_length: contextLength }] };
}

export function ollamaShow(context: ServerContext, asked: string | undefined): object {
  const model = context.modelFor(asked);
  const { config } = model;
  const template = context.options.details?.chatTemplate ?? "";
  return {
    modelfile: `FROM ${context.name()}\n`,
    parameters: parametersOf(model.sampling),
    template,
    details: details(context),
    model_info: {
      "general.architecture": "llama",
      "general.parameter_count": parameterCount(context, config),
      "llama.context_length": config.contextLength,
      "llama.embedding_length": config.width,
      "llama.block_count": config.layerCount,
      "llama.feed_forward_length": config.feedForwardLength,
      "llama.attention.head_count": config.headCount,
      "llama.attention.head_count_kv": config.kvHeadCount,
      "llama.vocab_size": config.vocabularySize,
      "tokenizer.ggml.model": model.tokenizer.kind === "sentencepiece" ? "llama" : "gpt2",
    },
    capabilities: ["completion", "tools", "embedding"],
    modified_at: modifiedAt(context),
  };
}

/** As Ollama writes them: a line each. */
function parametersOf(sampling: RecommendedSampling): string {
  return Object.entries(requestFields(sampling))
    .map(([name, value]) => `${name.padEnd(30)} ${value}`)
    .join("\n");
}

async function modelEntry(context: ServerContext): Promise<object> {
  const name = context.name();
  return {
    name: name.includes(":") ? name : `${name}:latest`,
    model: name.includes(":") ? name : `${name}:latest`,
    modified_at: modifiedAt(context),
    size: context.options.details?.byteLength ?? 0,
    digest: await context.hash(),
    details: details(context),
  };
}

function modifiedAt(context: ServerContext): string {
  return (context.options.details?.modifiedAt ?? new Date(context.created * 1000)).toISOString();
}

function details(context: ServerContext): object {
  const { fileFormat = "", quantization = "" } = context.options.details ?? {};
  const count = parameterCount(context, context.model().config);
  return {
    parent_model: "",
    format: fileFormat,
    family: "llama",
    families: ["llama"],
    parameter_size: count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : `${(count / 1e6).toFixed(2)}M`,
    quantization_level: quantization,
  };
}
