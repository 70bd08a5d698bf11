/**
 * A vocabulary in llama2.c's tokenizer.bin.
 *
 *   u32 longest piece in bytes; then per piece: f32 score, i32 byte length, the bytes
 *
 * The file is made from a SentencePiece model: ▁ is written as a space, byte pieces as <0x00> … <0xFF>, and ids 0, 1
 * and 2 are unknown, bos and eos. It has no types and no piece count.
 *
 * Flow: file bytes → vocabularyFromLlama2c → createTokenizer, which then behaves as with the SentencePiece file.
 * Source: karpathy/llama2.c, tokenizer.py.
 */
import { CriaError } from "../shared/errors.ts";
import { byteOfPiece, checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

const source = "tokenizer.bin";
const headerBytes = 4;
const pieceHeaderBytes = 8;
/** llama2.c writes these with line ends around them, or not, depending on its age. */
const specialNames = ["<unk>", "<s>", "</s>"];

/**
 * Reads a tokenizer.bin. With `vocabularySize`, the model's, the file must hold exactly that many pieces.
 *
 * @throws {CriaError} code "bad-file"
 */
export function vocabularyFromLlama2c(bytes: Uint8Array, vocabularySize?: number): Vocabulary {
  const fail = (at: number, message: string) =>
    new CriaError("bad-file", `${source}: ${message} (byte ${at})`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  if (bytes.length < headerBytes)
    throw fail(0, `expected a header of ${headerBytes} bytes, found ${bytes.length}`);
  const longest = view.getUint32(0, true);
  const pieces: string[] = [];
  const scores: number[] = [];
  const kinds: number[] = [];
  let at = headerBytes;
  while (at < bytes.length) {
    if (at + pieceHeaderBytes > bytes.length)
      throw fail(at, `expected score and length of piece ${pieces.length}`);
    const length = view.getUint32(at + 4, true);
    const start = at + pieceHeaderBytes;
    // The special names' line ends are not counted in the header of every version.
    if (length > longest && pieces.length >= specialNames.length)
      throw fail(at + 4, `expected a piece of at most ${longest} bytes, found ${length}`);
    if (start + length > bytes.length)
      throw fail(start, `expected ${length} bytes of piece ${pieces.length}`);
    scores.push(view.getFloat32(at, true));
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(start, start + length));
    } catch {
      throw fail(start, `expected piece ${pieces.length} in UTF-8`);
    }
    const id = pieces.length;
    const isSpecial = id < specialNames.length;
    const isByte = !isSpecial && byteOfPiece(text) !== undefined;
    pieces.push(isSpecial ? specialNames[id]! : text.replaceAll(" ", "\u2581"));
    kinds.push(
      id === 0
        ? kindCodes.unknown
        : isSpecial
          ? kindCodes.control
          : isByte
            ? kindCodes.byte
            : kindCodes.normal,
    );
    at = start + length;
  }
  if (pieces.length < specialNames.length)
    throw fail(at, `expected at least 3 pieces, found ${pieces.length}`);
  if (vocabularySize !== undefined && pieces.length !== vocabularySize)
    throw fail(at, `expected ${vocabularySize} pieces, as many as the model has, found ${pieces.length}`);
  const vocabulary: Vocabulary = {
    model: "llama",
    pieces,
    scores: Float32Array.from(scores),
    kinds: Uint8Array.from(kinds),
    merges: [],
    special: { unknown: 0, bos: 1, eos: 2 },
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
  };
  return checkVocabulary(vocabulary, source);
}
