/**
 * A model on disk, whatever its files: shape, weights, tokenizer and chat template.
 *
 *   file.gguf (or the first part of a split)     model.safetensors, or a folder of a Hugging Face repository
 *   consolidated.00.pth, or its folder           model.bin of llama2.c
 *
 * The tokenizer is the file's own, or the one named, or found beside the model.
 *
 * Flow: path → openCheckpoint → model/load.ts, tokenizer/, cli (inspect, convert).
 */
import type { ByteSource, FileSystem } from "../files/byte-source.ts";
import { isGguf, openGguf } from "../files/gguf/read.ts";
import { openLlama2c } from "../files/llama2c/read.ts";
import { openMeta } from "../files/meta/open.ts";
import { isSafetensors, openSafetensors } from "../files/safetensors/read.ts";
import type { TensorFile } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { findChatTemplate, findVocabulary } from "./companions.ts";
import { type ModelConfig, readConfig } from "./config.ts";
import { findRecommendedSampling, type RecommendedSampling } from "./recommended-sampling.ts";
import { type ModelWeights, modelWeights } from "./weights.ts";

export interface Checkpoint {
  readonly file: TensorFile;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  /** Undefined when the file has none and none lies beside it. */
  readonly vocabulary: Vocabulary | undefined;
  /** Jinja text, where the model brings one. */
  readonly chatTemplate: string | undefined;
  /** What the model's maker recommends; {} for nothing. */
  readonly sampling: RecommendedSampling;
}

/**
 * Opens a model without reading its weights. `tokenizerPath` overrides the model's own tokenizer.
 *
 * @throws {CriaError} "not-found", "bad-file" or "unsupported", naming the file and the place in it.
 */
export async function openCheckpoint(
  path: string,
  files: FileSystem,
  tokenizerPath?: string,
): Promise<Checkpoint> {
  const file = await openTensorFile(path, files);
  try {
    const config = readConfig(file);
    return {
      file,
      config,
      weights: modelWeights(file, config),
      vocabulary: await findVocabulary(file, config, files, tokenizerPath),
      chatTemplate: await findChatTemplate(file, files),
      sampling: await findRecommendedSampling(file, files),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The file names that make a folder a model, best first. */
const FOLDER_FILES = [
  /^model\.safetensors\.index\.json$/,
  // Before an adapter, or the same weights once more under their maker's names.
  /^model.*\.safetensors$/,
  /\.safetensors$/,
  /^consolidated\.00\.pth$/,
  /\.gguf$/,
];

/** Opens the tensors of a file or a folder, telling the kind by content. */
export async function openTensorFile(path: string, files: FileSystem): Promise<TensorFile> {
  const names = await files.list(path);
  if (names) {
    const name = FOLDER_FILES.map((pattern) => names.find((name) => pattern.test(name))).find(
      (found) => found,
    );
    if (!name)
      throw new CriaError(
        "not-found",
        `${path}: a folder without .gguf, .safetensors or consolidated.00.pth files`,
      );
    return openTensorFile(files.join(path, name), files);
  }
  // The name's end: an address may go on with a query.
  const name = files.baseName(path);
  if (name.endsWith(".pth")) return openMeta(path, files);
  if (name.endsWith(".safetensors.index.json")) return openSafetensors(path, files);
  const source = await files.open(path);
  const first = await source.read(0, Math.min(16, source.byteLength));
  if (isSafetensors(first, source.byteLength)) {
    await source.close();
    return openSafetensors(path, files);
  }
  return openSource(source, first, files);
}

/** Opens a GGUF, or else a llama2.c file, whose oldest version has no magic number to know it by. */
async function openSource(source: ByteSource, first: Uint8Array, files: FileSystem): Promise<TensorFile> {
  try {
    if (isGguf(first)) return await openGguf(source, files);
    return await openLlama2c(source).catch((cause) => {
      if (!(cause instanceof CriaError)) throw cause;
      const message = `${source.name}: neither GGUF nor safetensors, and not a llama2.c file either (${cause.message})`;
      throw new CriaError(cause.code, message, { cause });
    });
  } catch (error) {
    await source.close();
    throw error;
  }
}
