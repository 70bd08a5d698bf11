/**
 * A vocabulary from GGUF's metadata, the tokenizer.ggml keys, read as llama.cpp reads them.
 *
 * Flow: files/gguf/read.ts → vocabularyFromGguf → createTokenizer; the other way: to-gguf.ts.
 * Source: the GGUF specification; llama.cpp's defaults for keys that a file leaves out.
 */
import type { Metadata, MetadataValue } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { preTokenizerOf } from "./pretokenize.ts";
import { withTurnEnd } from "./special-tokens.ts";
import type { SpecialIds } from "./tokenizer.ts";
import { checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

export const keyPrefix = "tokenizer.ggml.";
const source = "GGUF metadata";

/** The key of every special id, without the prefix. */
export const idKeys: Readonly<Record<keyof SpecialIds, string>> = {
  bos: "bos_token_id",
  eos: "eos_token_id",
  eot: "eot_token_id",
  unknown: "unknown_token_id",
  padding: "padding_token_id",
};

/** Rules under which llama.cpp adds bos and takes whole words unless the file says otherwise. */
const wholeWordRules: readonly string[] = ["llama-bpe", "tekken"];

/**
 * Reads the vocabulary of a model file.
 *
 * @throws {CriaError} code "not-found" without tokens, "unsupported" for another kind of tokenizer, "bad-file" when
 * the keys disagree.
 */
export function vocabularyFromGguf(metadata: Metadata): Vocabulary {
  const model = metadata.get(`${keyPrefix}model`);
  if (model === undefined) throw new CriaError("not-found", `${source}: expected the key ${keyPrefix}model`);
  if (model !== "llama" && model !== "gpt2")
    throw new CriaError(
      "unsupported",
      `${source}: expected the tokenizer model llama or gpt2, found ${shown(model)}`,
    );
  const pieces = strings(metadata, "tokens");
  if (!pieces) throw new CriaError("not-found", `${source}: expected the key ${keyPrefix}tokens`);
  const isLlama = model === "llama";
  const preTokenizer = isLlama ? "" : (single(metadata, "pre", "string") ?? "default");
  const rule = preTokenizerOf(preTokenizer) ?? preTokenizer;
  const isWholeWord = !isLlama && wholeWordRules.includes(rule);
  const vocabulary: Vocabulary = {
    model,
    pieces,
    scores: Float32Array.from(numbers(metadata, "scores") ?? new Float32Array(pieces.length)),
    kinds: Uint8Array.from(
      numbers(metadata, "token_type") ?? new Uint8Array(pieces.length).fill(kindCodes.normal),
      kindCode,
    ),
    merges: isLlama ? [] : (strings(metadata, "merges") ?? []),
    special: specialIds(metadata, isLlama, pieces.length),
    addBos: single(metadata, "add_bos_token", "boolean") ?? (isLlama || isWholeWord),
    addEos: single(metadata, "add_eos_token", "boolean") ?? false,
    addSpacePrefix: isLlama && (single(metadata, "add_space_prefix", "boolean") ?? true),
    // llama.cpp reads this key for other tokenizer models only.
    removeExtraWhitespaces: false,
    ignoreMerges: isWholeWord,
    preTokenizer: isLlama ? "" : rule,
    patterns: [],
  };
  return withTurnEnd(checkVocabulary(vocabulary, source));
}

/** Ids out of range are ignored, as llama.cpp does. SentencePiece files without keys have 0, 1 and 2. */
function specialIds(metadata: Metadata, isLlama: boolean, pieceCount: number): SpecialIds {
  const defaults: SpecialIds = isLlama ? { unknown: 0, bos: 1, eos: 2 } : {};
  const ids: Partial<Record<keyof SpecialIds, number>> = {};
  for (const [key, suffix] of Object.entries(idKeys)) {
    const name = key as keyof SpecialIds;
    const stored = single(metadata, suffix, "number");
    const id =
      stored !== undefined && Number.isInteger(stored) && stored >= 0 && stored < pieceCount
        ? stored
        : defaults[name];
    if (id !== undefined && id < pieceCount) ids[name] = id;
  }
  return ids;
}

function kindCode(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= kindCodes.byte) return value;
  throw new CriaError(
    "bad-file",
    `${source}: expected token types from 0 to 6 in ${keyPrefix}token_type, found ${value}`,
  );
}

interface ValueTypes {
  string: string;
  number: number;
  boolean: boolean;
}

function single<Type extends keyof ValueTypes>(
  metadata: Metadata,
  key: string,
  type: Type,
): ValueTypes[Type] | undefined {
  const value = metadata.get(keyPrefix + key);
  if (value === undefined) return undefined;
  if (typeof value !== type)
    throw new CriaError(
      "bad-file",
      `${source}: expected ${keyPrefix}${key} to be a ${type}, found ${shown(value)}`,
    );
  return value as ValueTypes[Type];
}

function strings(metadata: Metadata, key: string): string[] | undefined {
  const value = metadata.get(keyPrefix + key);
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new CriaError("bad-file", `${source}: expected ${keyPrefix}${key} to be a list of strings`);
}

function numbers(metadata: Metadata, key: string): ArrayLike<number> | undefined {
  const value = metadata.get(keyPrefix + key);
  if (value === undefined) return undefined;
  if (ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value) && value.every((item) => typeof item === "number")) return value;
  throw new CriaError("bad-file", `${source}: expected ${keyPrefix}${key} to be a list of numbers`);
}

function shown(value: MetadataValue): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : typeof value;
}
