/**
 * A vocabulary as GGUF's metadata, the tokenizer.ggml keys, so that llama.cpp and Cria read back the same.
 *
 * Flow: any loader or train.ts → Vocabulary → vocabularyToGguf → files/gguf/write.ts; the other way: from-gguf.ts.
 * Source: the GGUF specification.
 */
import type { Metadata, MetadataValue } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { idKeys, keyPrefix } from "./from-gguf.ts";
import type { SpecialIds } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * Returns the metadata that stores a vocabulary. Numbers are ids, for GGUF's u32; lists of numbers are typed arrays.
 *
 * @throws {CriaError} code "unsupported" when its words are cut by a rule that GGUF has no name for.
 */
export function vocabularyToGguf(vocabulary: Vocabulary): Metadata {
  if (vocabulary.preTokenizer === "patterns")
    throw new CriaError(
      "unsupported",
      "the tokenizer cuts words by a pattern of its own, which GGUF has no name for",
    );
  if (vocabulary.removeExtraWhitespaces)
    throw new CriaError(
      "unsupported",
      "the tokenizer removes extra spaces, which programs that read GGUF do not",
    );
  const isLlama = vocabulary.model === "llama";
  const entries = new Map<string, MetadataValue>();
  const put = (key: string, value: MetadataValue) => entries.set(keyPrefix + key, value);
  put("model", vocabulary.model);
  put("pre", isLlama ? "default" : vocabulary.preTokenizer);
  put("tokens", vocabulary.pieces);
  if (isLlama) put("scores", vocabulary.scores);
  put("token_type", Int32Array.from(vocabulary.kinds));
  if (!isLlama) put("merges", vocabulary.merges);
  for (const [name, key] of Object.entries(idKeys)) {
    const id = vocabulary.special[name as keyof SpecialIds];
    if (id !== undefined) put(key, id);
  }
  put("add_bos_token", vocabulary.addBos);
  put("add_eos_token", vocabulary.addEos);
  if (isLlama) put("add_space_prefix", vocabulary.addSpacePrefix);
  return entries;
}
