/**
 * A vocabulary in SentencePiece's own file, tokenizer.model: a protobuf message.
 *
 *   ModelProto       1 pieces { 1 piece, 2 score, 3 type }, 2 trainer_spec, 3 normalizer_spec
 *   trainer_spec     3 model_type (2 is BPE), 24 treat_whitespace_as_suffix, 40-43 ids of unknown, bos, eos, padding
 *   normalizer_spec  2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
 *
 * Flow: file bytes → vocabularyFromSentencePiece → createTokenizer.
 * Source: sentencepiece_model.proto; the protobuf encoding guide.
 */
import { CriaError } from "../shared/errors.ts";
import { withTurnEnd } from "./special-tokens.ts";
import { checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

const source = "tokenizer.model";
const modelTypes = ["", "unigram", "BPE", "word", "character"];

/**
 * Reads a tokenizer.model.
 *
 * @throws {CriaError} code "bad-file" for damaged bytes, "unsupported" for another algorithm or a text normaliser.
 */
export function vocabularyFromSentencePiece(bytes: Uint8Array): Vocabulary {
  refuseTiktoken(bytes);
  const pieces: string[] = [];
  const scores: number[] = [];
  const kinds: number[] = [];
  let trainer = new Map<number, number>();
  let normalizer = new Map<number, number>();
  for (const field of fieldsOf(bytes, 0, bytes.length)) {
    if (field.number === 1) {
      const [piece, score, kind] = readPiece(bytes, field);
      pieces.push(piece);
      scores.push(score);
      kinds.push(kind);
    } else if (field.number === 2) trainer = readSpec(bytes, field);
    else if (field.number === 3) normalizer = readSpec(bytes, field);
  }
  refuseOthers(trainer, normalizer);
  const id = (number: number, fallback: number) => {
    const stored = trainer.get(number) ?? fallback;
    return stored >= 0 ? stored : undefined;
  };
  const named = { unknown: id(40, 0), bos: id(41, 1), eos: id(42, 2), padding: id(43, -1) };
  const vocabulary: Vocabulary = {
    model: "llama",
    pieces,
    scores: Float32Array.from(scores),
    kinds: Uint8Array.from(kinds),
    merges: [],
    special: Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
    // The file does not say what a model was trained with; every Llama model that ships one expects bos.
    addBos: true,
    addEos: false,
    addSpacePrefix: (normalizer.get(3) ?? 1) !== 0,
    removeExtraWhitespaces: (normalizer.get(4) ?? 1) !== 0,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
  };
  return withTurnEnd(checkVocabulary(vocabulary, source));
}

/** Meta's folders of Llama 3 have a tokenizer.model too: lines of a piece in base64 and its rank. */
function refuseTiktoken(bytes: Uint8Array): void {
  if (/^[A-Za-z0-9+/]+={0,2} \d+\r?\n/.test(new TextDecoder("latin1").decode(bytes.subarray(0, 256))))
    throw new CriaError(
      "unsupported",
      `${source}: expected a SentencePiece file, found a list of pieces for tiktoken, as Llama 3 has it; name the ` +
        "tokenizer.json of the same model's repository instead",
    );
}

function refuseOthers(trainer: ReadonlyMap<number, number>, normalizer: ReadonlyMap<number, number>): void {
  const refuse = (message: string) => new CriaError("unsupported", `${source}: ${message}`);
  const type = trainer.get(3) ?? 1;
  if (type !== 2) throw refuse(`expected a BPE model, found ${modelTypes[type] ?? `type ${type}`}`);
  if (trainer.get(24)) throw refuse("expected spaces before words, found a model that writes them after");
  if ((normalizer.get(5) ?? 1) === 0)
    throw refuse("expected spaces written as U+2581, found a model that keeps them");
  // For fields that hold bytes, the map has their length.
  if (normalizer.get(2))
    throw refuse("expected text to be kept as it is, found a model with a table that replaces characters");
}

function readPiece(bytes: Uint8Array, message: Field): [string, number, number] {
  let piece = "";
  let score = 0;
  let kind: number = kindCodes.normal;
  for (const field of fieldsOf(bytes, message.start, message.end)) {
    if (field.number === 1) piece = utf8(bytes, field);
    else if (field.number === 2) score = floatAt(bytes, field);
    else if (field.number === 3) kind = field.value;
  }
  if (kind < kindCodes.normal || kind > kindCodes.byte)
    throw damaged(message.start, `a piece type of 1 to 6, found ${kind}`);
  return [piece, score, kind];
}

/** The numbers of a message by field; the length of a field that holds bytes. */
function readSpec(bytes: Uint8Array, message: Field): Map<number, number> {
  const values = new Map<number, number>();
  for (const { number, value, isBytes, start, end } of fieldsOf(bytes, message.start, message.end))
    values.set(number, isBytes ? end - start : value);
  return values;
}

/** One field of a protobuf message: a number in `value`, or bytes from `start` to `end`. */
interface Field {
  readonly number: number;
  /** Low 32 bits, signed. */
  readonly value: number;
  readonly isBytes: boolean;
  readonly start: number;
  readonly end: number;
}

function* fieldsOf(bytes: Uint8Array, from: number, limit: number): Generator<Field> {
  let at = from;
  while (at < limit) {
    const tag = varint(bytes, at, limit);
    const number = tag.value >>> 3;
    const wireType = tag.value & 7;
    let start = tag.end;
    let end: number;
    let value = 0;
    if (wireType === 0) ({ value, end } = varint(bytes, start, limit));
    else if (wireType === 1) end = start + 8;
    else if (wireType === 5) end = start + 4;
    else if (wireType === 2) {
      const length = varint(bytes, start, limit);
      start = length.end;
      end = start + (length.value >>> 0);
    } else throw damaged(at, `a wire type of 0, 1, 2 or 5, found ${wireType}`);
    if (number === 0) throw damaged(at, "a field number above 0");
    if (end > limit) throw damaged(start, `${end - start} bytes, but only ${limit - start} are left`);
    yield { number, value, isBytes: wireType === 2, start, end };
    at = end;
  }
}

function varint(bytes: Uint8Array, from: number, limit: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    if (from + i >= limit) throw damaged(from, "a number, but the bytes end inside it");
    const byte = bytes[from + i]!;
    if (i < 5) value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { value, end: from + i + 1 };
  }
  throw damaged(from, "a number of at most 10 bytes");
}

function utf8(bytes: Uint8Array, field: Field): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(field.start, field.end),
    );
  } catch {
    throw damaged(field.start, "a piece in UTF-8");
  }
}

function floatAt(bytes: Uint8Array, field: Field): number {
  if (field.end - field.start !== 4) throw damaged(field.start, "a score of 4 bytes");
  return new DataView(bytes.buffer, bytes.byteOffset + field.start, 4).getFloat32(0, true);
}

function damaged(at: number, expected: string): CriaError {
  return new CriaError("bad-file", `${source}: expected ${expected} (byte ${at})`);
}
