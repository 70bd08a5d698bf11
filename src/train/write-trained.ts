/**
 * The trained model as a file that every reader of GGUF takes, Cria and llama.cpp among them.
 *
 * Flow: Session (parameters) → writeTrainedModel → model.gguf.
 */
import type { FileSystem } from "../files/byte-source.ts";
import type { StoredTensor, TensorFile } from "../files/stored-tensor.ts";
import type { ModelConfig } from "../model/config.ts";
import { type ConvertType, writeModel } from "../model/convert.ts";
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { ROPE_FACTORS, trainedWeights } from "./full-model.ts";
import type { ParameterStore } from "./parameters.ts";

export interface TrainedModel {
  readonly store: ParameterStore;
  /** With the name that the file shall have. */
  readonly config: ModelConfig;
  readonly tied: boolean;
  readonly vocabulary: Vocabulary;
  /** Jinja text. */
  readonly chatTemplate?: string;
  /** The base's table of rope factors, which training leaves as it is. */
  readonly ropeFactors?: StoredTensor;
  /** How to sample from it; default: nothing is recommended. */
  readonly sampling?: RecommendedSampling;
}

/** Writes a .gguf file, or a folder of safetensors for any other path. */
export async function writeTrainedModel(
  { store, config, tied, vocabulary, chatTemplate, ropeFactors, sampling = {} }: TrainedModel,
  path: string,
  files: FileSystem,
  type: ConvertType,
): Promise<void> {
  const weights = trainedWeights(store, config, tied);
  if (ropeFactors) weights.set(ROPE_FACTORS, ropeFactors);
  // What the writer wants to know of where the weights come from: no file, so nothing to keep of its metadata.
  const file: TensorFile = {
    kind: "safetensors",
    name: config.name,
    metadata: new Map(),
    config: {},
    tensors: weights,
    paths: [],
    byteLength: 0,
    async close() {},
  };
  await writeModel({ file, config, weights, vocabulary, chatTemplate, sampling }, path, files, { type });
}
