/**
 * How a model's maker recommends to sample from it: GGUF's `general.sampling.*`, or Hugging Face's
 * generation_config.json beside the weights. What a caller asks for comes first, then this, then the sampler's defaults.
 *
 * Flow: model files → openCheckpoint → Model (generate/model.ts) → sampler; and into the files that are written.
 * Source: llama.cpp #17120 (its keys, and that users' settings come first); transformers' GenerationConfig.
 */
import type { FileSystem } from "../files/byte-source.ts";
import type { GgufEntry } from "../files/gguf/write.ts";
import type { TensorFile } from "../files/stored-tensor.ts";
import { defined } from "../shared/defined.ts";
import { readJsonBeside } from "./companions.ts";
import { Settings } from "./settings.ts";

/** Named and ranged as the sampler's options; absent is what the maker leaves open. */
export interface RecommendedSampling {
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly repeatPenalty?: number | undefined;
  readonly repeatLastN?: number | undefined;
}

interface Key {
  readonly option: keyof RecommendedSampling;
  readonly gguf: string;
  readonly type: "f32" | "i32";
  /** In generation_config.json, where it can be said there. */
  readonly huggingFace?: string;
  /** What a value means that other programs take and the sampler does not. */
  readonly within: (value: number) => number;
}

const atLeast0 = (value: number): number => Math.max(0, value);
/** Whole, where the sampler counts tokens. */
const count = (least: number) => (value: number) => Math.max(least, Math.round(value));
const share = (value: number): number => Math.min(1, Math.max(0, value));

const KEYS: readonly Key[] = [
  { option: "temperature", gguf: "temp", type: "f32", huggingFace: "temperature", within: atLeast0 },
  // -1 is all, as 0 is.
  { option: "topK", gguf: "top_k", type: "i32", huggingFace: "top_k", within: count(0) },
  // 0 keeps the likeliest token elsewhere, and so does a share this small.
  {
    option: "topP",
    gguf: "top_p",
    type: "f32",
    huggingFace: "top_p",
    within: (value) => share(value) || 1e-6,
  },
  { option: "minP", gguf: "min_p", type: "f32", huggingFace: "min_p", within: share },
  {
    option: "repeatPenalty",
    gguf: "penalty_repeat",
    type: "f32",
    huggingFace: "repetition_penalty",
    within: (value) => (value > 0 ? value : 1),
  },
  { option: "repeatLastN", gguf: "penalty_last_n", type: "i32", within: count(-1) },
];

/**
 * Reads what a model's files recommend; {} where they say nothing.
 *
 * @throws {CriaError} "bad-file" for a setting that is not a finite number, or a generation_config.json that is not JSON.
 */
export async function findRecommendedSampling(
  file: TensorFile,
  files: FileSystem,
): Promise<RecommendedSampling> {
  if (file.kind === "gguf")
    return readKeys(new Settings(file.name, file.metadata), ({ gguf }) => `general.sampling.${gguf}`);
  if (file.kind !== "safetensors") return {};
  const beside = await readJsonBeside(file, "generation_config.json", files);
  return beside ? readKeys(beside, ({ huggingFace }) => huggingFace) : {};
}

function readKeys(settings: Settings, nameOf: (key: Key) => string | undefined): RecommendedSampling {
  const found = KEYS.flatMap((key) => {
    const name = nameOf(key);
    if (name === undefined || !settings.has(name)) return [];
    return [[key.option, key.within(shortest(settings.finite(name)))] as const];
  });
  return Object.fromEntries(found);
}

/** A number that was kept as f32, as people write it: 0.95 for 0.949999988. */
function shortest(value: number): number {
  return Number(value.toPrecision(7));
}

/** The same under the names that requests to servers have, Ollama's among them. */
export function requestFields(sampling: RecommendedSampling): Record<string, number> {
  const fields = {
    temperature: sampling.temperature,
    top_k: sampling.topK,
    top_p: sampling.topP,
    min_p: sampling.minP,
    repeat_penalty: sampling.repeatPenalty,
    repeat_last_n: sampling.repeatLastN,
  };
  return defined(fields);
}

/** The entries of a GGUF. */
export function recommendedEntries(sampling: RecommendedSampling): GgufEntry[] {
  return KEYS.flatMap(({ option, gguf, type }) => {
    const value = sampling[option];
    return value === undefined ? [] : [{ key: `general.sampling.${gguf}`, type, value }];
  });
}

/** The text of generation_config.json; undefined where there is nothing to say in it. */
export function generationConfigJson(sampling: RecommendedSampling): string | undefined {
  const settings = KEYS.flatMap(({ option, huggingFace }) => {
    const value = sampling[option];
    return huggingFace === undefined || value === undefined ? [] : [[huggingFace, value] as const];
  });
  if (settings.length === 0) return undefined;
  return `${JSON.stringify({ do_sample: sampling.temperature !== 0, ...Object.fromEntries(settings) }, null, 2)}\n`;
}
