/**
 * A vocabulary as SentencePiece's own file, tokenizer.model: what the Python library and llama.cpp's converter read.
 *
 * Flow: Vocabulary → model/convert.ts (beside a safetensors model). The field numbers are in from-sentence-piece.ts.
 */
import { CriaError } from "../shared/errors.ts";
import type { Vocabulary } from "./vocabulary.ts";

const BPE = 2;

/**
 * The bytes of a tokenizer.model.
 *
 * @throws {CriaError} code "unsupported" for a byte-level vocabulary.
 */
export function vocabularyToSentencePiece(vocabulary: Vocabulary): Uint8Array {
  if (vocabulary.model !== "llama")
    throw new CriaError("unsupported", "a byte-level tokenizer cannot be written as tokenizer.model");
  const { pieces, scores, kinds, special } = vocabulary;
  const message: number[] = [];
  const text = new TextEncoder();
  pieces.forEach((piece, id) => {
    const entry: number[] = [];
    putBytes(entry, 1, text.encode(piece));
    putFloat(entry, 2, scores[id]);
    // 1, a normal piece, is the default and is left out.
    if (kinds[id] !== 1) putNumber(entry, 3, kinds[id]);
    putBytes(message, 1, entry);
  });
  const trainer: number[] = [];
  putNumber(trainer, 3, BPE);
  putNumber(trainer, 4, pieces.length);
  putNumber(trainer, 35, 1); // byte_fallback
  const ids = [special.unknown, special.bos, special.eos, special.padding];
  ids.forEach((id, index) => {
    putNumber(trainer, 40 + index, id ?? -1);
  });
  putBytes(message, 2, trainer);
  const normalizer: number[] = [];
  putBytes(normalizer, 1, text.encode("identity"));
  putNumber(normalizer, 3, vocabulary.addSpacePrefix ? 1 : 0);
  putNumber(normalizer, 4, vocabulary.removeExtraWhitespaces ? 1 : 0);
  putNumber(normalizer, 5, 1);
  putBytes(message, 3, normalizer);
  return Uint8Array.from(message);
}

function putNumber(out: number[], field: number, value: number): void {
  putVarint(out, BigInt(field << 3));
  // Negative numbers are written as 64-bit two's complement.
  putVarint(out, BigInt.asUintN(64, BigInt(value)));
}

function putFloat(out: number[], field: number, value: number): void {
  putVarint(out, BigInt((field << 3) | 5));
  out.push(...new Uint8Array(Float32Array.of(value).buffer));
}

function putBytes(out: number[], field: number, bytes: ArrayLike<number>): void {
  putVarint(out, BigInt((field << 3) | 2));
  putVarint(out, BigInt(bytes.length));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]);
}

function putVarint(out: number[], value: bigint): void {
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}
