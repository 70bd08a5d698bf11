/**
 * A byte-level vocabulary as Hugging Face's tokenizer.json and tokenizer_config.json.
 *
 * Flow: Vocabulary → model/convert.ts (beside a safetensors model).
 * Source: the tokenizers library's serialised form.
 */
import { CriaError } from "../shared/errors.ts";
import { patternsOfRule } from "./json-pipeline.ts";
import { kindCodes, type Vocabulary } from "./vocabulary.ts";

/**
 * The text of a tokenizer.json.
 *
 * @throws {CriaError} code "unsupported" for a SentencePiece vocabulary, or a word rule without a name.
 */
export function vocabularyToJson(vocabulary: Vocabulary): string {
  const { model, pieces, kinds, merges, special } = vocabulary;
  if (model !== "gpt2")
    throw new CriaError("unsupported", "tokenizer.json is written for byte-level tokenizers only");
  const patterns =
    vocabulary.preTokenizer === "patterns" ? vocabulary.patterns : patternsOfRule(vocabulary.preTokenizer);
  if (!patterns)
    throw new CriaError("unsupported", `no pattern is known for the word rule "${vocabulary.preTokenizer}"`);
  const isAdded = (id: number) => kinds[id] !== kindCodes.normal && kinds[id] !== kindCodes.unused;
  const bos = vocabulary.addBos && special.bos !== undefined ? pieces[special.bos] : undefined;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return JSON.stringify(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: pieces.flatMap((content, id) =>
        isAdded(id)
          ? [
              {
                id,
                content,
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: false,
                special: kinds[id] !== kindCodes.user,
              },
            ]
          : [],
      ),
      normalizer: null,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          ...patterns.map((Regex) => ({
            type: "Split",
            pattern: { Regex },
            behavior: "Isolated",
            invert: false,
          })),
          byteLevel,
        ],
      },
      post_processor: bos === undefined ? null : templateOf(bos, special.bos as number),
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: vocabulary.ignoreMerges,
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
        merges: merges.map((merge) => merge.split(" ")),
      },
    },
    undefined,
    1,
  );
}

/** The text of a tokenizer_config.json: which tokens begin and end a text, and the chat template. */
export function tokenizerConfigJson(vocabulary: Vocabulary, chatTemplate: string | undefined): string {
  const { pieces, special } = vocabulary;
  const name = (id: number | undefined) => (id === undefined ? undefined : pieces[id]);
  return JSON.stringify(
    {
      tokenizer_class: vocabulary.model === "llama" ? "LlamaTokenizer" : "PreTrainedTokenizerFast",
      add_bos_token: vocabulary.addBos,
      add_eos_token: vocabulary.addEos,
      bos_token: name(special.bos),
      eos_token: name(special.eot ?? special.eos),
      unk_token: name(special.unknown),
      pad_token: name(special.padding),
      legacy: vocabulary.model === "llama" ? false : undefined,
      clean_up_tokenization_spaces: false,
      chat_template: chatTemplate,
    },
    undefined,
    1,
  );
}

/** The step that puts bos before a text. */
function templateOf(bos: string, id: number): object {
  const begin = (type_id: number) => ({ SpecialToken: { id: bos, type_id } });
  const text = (name: string, type_id: number) => ({ Sequence: { id: name, type_id } });
  return {
    type: "TemplateProcessing",
    single: [begin(0), text("A", 0)],
    pair: [begin(0), text("A", 0), begin(1), text("B", 1)],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}
