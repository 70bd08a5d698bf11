/**
 * A vocabulary in Hugging Face's tokenizer.json, with settings from tokenizer_config.json beside it.
 *
 * Two kinds of BPE are read: byte-level (GPT-2, Llama 3, SmolLM2), and the one that conversions of SentencePiece models
 * have (Llama 2), which writes spaces as ▁ and falls back to byte pieces. Whatever would change the ids and is not
 * handled is refused by name, never ignored; lstrip, rstrip and single_word of added tokens are ignored, as in llama.cpp.
 *
 * The chat template in the configuration is not a tokenizer's matter: model/companions.ts finds it.
 *
 * Flow: file text → vocabularyFromJson → createTokenizer.
 * Source: the tokenizers library's serialised form.
 */
import { defined } from "../shared/defined.ts";
import { CriaError } from "../shared/errors.ts";
import { entriesOf, isRecord, type Json, JsonPart } from "./json-part.ts";
import { readPipeline } from "./json-pipeline.ts";
import { withTurnEnd } from "./special-tokens.ts";
import type { SpecialIds } from "./tokenizer.ts";
import { byteOfPiece, checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

const source = "tokenizer.json";

/**
 * Reads a tokenizer.json, and a tokenizer_config.json when its text is given.
 *
 * @throws {CriaError} code "bad-file" for damaged files, "unsupported" for tokenizers of another kind.
 */
export function vocabularyFromJson(text: string, configText?: string): Vocabulary {
  const root = JsonPart.parse(text, source);
  const config = configText === undefined ? undefined : JsonPart.parse(configText, "tokenizer_config.json");
  const model = root.part("model");
  refuseModel(model);
  const pipeline = readPipeline(root);
  const { pieces, kinds, idOf } = readPieces(root, model, pipeline.isByteLevel);
  const merges = readMerges(model);
  const name = (key: string) => tokenName(config?.value[key]);
  const idOfName = (piece: string | undefined) => (piece === undefined ? undefined : idOf.get(piece));
  const ends = templateEnds(root.value.post_processor);
  const special: SpecialIds = defined({
    bos: idOfName(
      name("bos_token") ?? ends.first ?? knownName(idOf, ["<s>", "<|begin_of_text|>", "<|endoftext|>"]),
    ),
    eos: idOfName(
      name("eos_token") ?? ends.last ?? knownName(idOf, ["</s>", "<|end_of_text|>", "<|endoftext|>"]),
    ),
    unknown: idOfName(name("unk_token") ?? model.optionalString("unk_token")),
    padding: idOfName(name("pad_token")),
  });
  if (
    !pipeline.isByteLevel &&
    pipeline.splitsAtSpaces &&
    pieces.some((piece) => piece.lastIndexOf("\u2581") > 0)
  )
    throw new CriaError(
      "unsupported",
      `${source}: cuts the text at spaces, but has pieces with a space inside`,
    );
  const vocabulary: Vocabulary = {
    model: pipeline.isByteLevel ? "gpt2" : "llama",
    pieces,
    scores: pipeline.isByteLevel
      ? new Float32Array(pieces.length)
      : scoresOfMerges(merges, idOf, pieces.length),
    kinds,
    merges,
    special,
    addBos: config?.optionalBoolean("add_bos_token") ?? ends.first !== undefined,
    addEos: config?.optionalBoolean("add_eos_token") ?? ends.last !== undefined,
    addSpacePrefix: pipeline.addSpacePrefix,
    ...(pipeline.prefixesOnlyStart ? { prefixesOnlyStart: true } : {}),
    ...(pipeline.prefixesOnlyWords ? { prefixesOnlyWords: true } : {}),
    removeExtraWhitespaces: false,
    ignoreMerges: model.optionalBoolean("ignore_merges") ?? false,
    preTokenizer: pipeline.preTokenizer,
    patterns: pipeline.patterns,
  };
  return withTurnEnd(checkVocabulary(vocabulary, source));
}

function refuseModel(model: JsonPart): void {
  const type = model.optionalString("type") ?? "BPE";
  if (type !== "BPE") throw model.unsupported(`expected the model type BPE, found ${JSON.stringify(type)}`);
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"])
    if (model.value[key])
      throw model.unsupported(`expected no ${key}, found ${JSON.stringify(model.value[key])}`);
  if (model.value.dropout) throw model.unsupported("expected no dropout");
}

/** Names of tokens may leave gaps between ids, which become unused pieces; a gap wider than the file is an error. */
function readPieces(root: JsonPart, model: JsonPart, isByteLevel: boolean) {
  const idOf = new Map<string, number>();
  const nameOf = new Map<number, string>();
  const kindOf = new Map<number, number>();
  const take = (piece: string, id: Json, kind: number) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
      throw root.bad(`expected an id for piece ${JSON.stringify(piece)}, found ${JSON.stringify(id)}`);
    const other = nameOf.get(id);
    if (other !== undefined && other !== piece)
      throw root.bad(
        `expected one piece with id ${id}, found ${JSON.stringify(other)} and ${JSON.stringify(piece)}`,
      );
    const otherId = idOf.get(piece);
    if (otherId !== undefined && otherId !== id)
      throw root.bad(`expected one id for piece ${JSON.stringify(piece)}, found ${otherId} and ${id}`);
    nameOf.set(id, piece);
    idOf.set(piece, id);
    kindOf.set(id, kind);
  };
  const hasBytes = !isByteLevel && (model.optionalBoolean("byte_fallback") ?? false);
  for (const [piece, id] of entriesOf(model.part("vocab").value)) {
    const isByte = hasBytes && byteOfPiece(piece) !== undefined;
    take(piece, id, isByte ? kindCodes.byte : kindCodes.normal);
  }
  const unknown = model.optionalString("unk_token");
  for (const token of root.list("added_tokens")) {
    const content = token.string("content");
    const kind =
      content === unknown
        ? kindCodes.unknown
        : token.optionalBoolean("special")
          ? kindCodes.control
          : kindCodes.user;
    take(content, token.value.id ?? null, kind);
  }
  const unknownId = unknown === undefined ? undefined : idOf.get(unknown);
  if (unknownId !== undefined && !isByteLevel) kindOf.set(unknownId, kindCodes.unknown);
  let size = 0;
  for (const id of nameOf.keys()) size = Math.max(size, id + 1);
  if (size > nameOf.size * 2 + 1024)
    throw root.bad(`expected ids without large gaps, found id ${size - 1} among ${nameOf.size} pieces`);
  const pieces = Array.from({ length: size }, (_, id) => nameOf.get(id) ?? `[PAD${id}]`);
  return { pieces, kinds: Uint8Array.from(pieces, (_, id) => kindOf.get(id) ?? kindCodes.unused), idOf };
}

/** Merges are "left right" or ["left", "right"]. */
function readMerges(model: JsonPart): string[] {
  const merges = model.value.merges ?? [];
  if (!Array.isArray(merges)) throw model.bad("expected merges to be a list");
  return merges.map((merge: Json, rank) => {
    if (typeof merge === "string" && merge.includes(" ")) return merge;
    if (
      Array.isArray(merge) &&
      merge.length === 2 &&
      merge.every((half) => typeof half === "string" && !half.includes(" "))
    )
      return merge.join(" ");
    throw model.bad(`expected merge ${rank} to be a pair of pieces, found ${JSON.stringify(merge)}`);
  });
}

/** Scores that give the same merges to programs that know scores only: the earlier a piece is made, the higher. */
function scoresOfMerges(
  merges: readonly string[],
  idOf: ReadonlyMap<string, number>,
  pieceCount: number,
): Float32Array {
  const scores = new Float32Array(pieceCount);
  const hasScore = new Uint8Array(pieceCount);
  let order = 0;
  for (const merge of merges) {
    const id = idOf.get(merge.replace(" ", ""));
    if (id === undefined || hasScore[id]) continue;
    hasScore[id] = 1;
    scores[id] = -order++;
  }
  return scores;
}

/** The special tokens that a template puts before and after a text. */
function templateEnds(processor: Json | undefined): { first?: string; last?: string } {
  if (!isRecord(processor)) return {};
  if (processor.type === "Sequence" && Array.isArray(processor.processors)) {
    const template = processor.processors.find(
      (step) => isRecord(step) && step.type === "TemplateProcessing",
    );
    return templateEnds(template);
  }
  if (processor.type !== "TemplateProcessing" || !Array.isArray(processor.single)) return {};
  const nameAt = (item: Json | undefined) =>
    isRecord(item) && isRecord(item.SpecialToken) && typeof item.SpecialToken.id === "string"
      ? item.SpecialToken.id
      : undefined;
  return defined({ first: nameAt(processor.single[0]), last: nameAt(processor.single.at(-1)) });
}

/** A token in tokenizer_config.json: its name, or an object with its name. */
export function tokenName(value: Json | undefined): string | undefined {
  if (typeof value === "string") return value;
  return isRecord(value) && typeof value.content === "string" ? value.content : undefined;
}

function knownName(idOf: ReadonlyMap<string, number>, names: readonly string[]): string | undefined {
  return names.find((name) => idOf.has(name));
}
