/**
 * Trains a tokenizer of Llama 2's kind: SentencePiece byte-pair encoding with byte pieces for what is rare.
 *
 *   id     0 <unk>, 1 <s>, 2 </s>, control symbols, 256 bytes, merged pieces in the order learned, single characters
 *   score  0, −1, −2 … from the first merged piece on: the encoder merges the piece of the highest score first
 *
 * The same texts in the same order give the same vocabulary.
 *
 * Flow: texts → ChunkCounter → wordsOf → learnMerges → Vocabulary → createTokenizer, to-sentence-piece.ts, GGUF.
 * Source: Kudo & Richardson 2018, arXiv 1808.06226; the settings of Llama 2's tokenizer.model.
 */
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { nextTurn } from "../shared/next-turn.ts";
import { withTurnEnd } from "./special-tokens.ts";
import { learnMerges } from "./train-merges.ts";
import { ChunkCounter, countCharacters, isControl, spaceMark, wordsOf } from "./train-words.ts";
import { checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

/** How a tokenizer is trained. The defaults are those of Llama 2's. */
export interface TokenizerTraining {
  /** Pieces in all, with control symbols, bytes and characters. */
  readonly vocabularySize: number;
  /** Write characters that are no piece as bytes; without it they are `<unk>`. Default true. */
  readonly byteFallback?: boolean;
  /** Put one space before a text, so that its first word is like those inside. Default true. */
  readonly addSpacePrefix?: boolean;
  /** Further control tokens, such as `<|user|>`. */
  readonly controlSymbols?: readonly string[];
  /** Digits stand alone. Default true. */
  readonly splitDigits?: boolean;
  /** Share of all characters that become pieces, the most frequent first, in (0, 1]. Default 0.99995. */
  readonly characterCoverage?: number;
  /** Code points of a piece, at most. Default 16. */
  readonly maxPieceLength?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TokenizerProgress) => void;
}

export interface TokenizerProgress {
  readonly phase: "counting" | "merging";
  /** Characters counted, or pieces learned. */
  readonly done: number;
  /** Pieces to learn; unknown while texts are counted. */
  readonly total?: number;
}

const countingInterval = 4_000_000;

/**
 * Returns a vocabulary of exactly `vocabularySize` pieces.
 *
 * @throws {CriaError} "bad-input" for options out of range, texts without a character, or texts that hold too few
 * different words for the size; "aborted".
 */
export async function trainTokenizer(
  texts: AsyncIterable<string> | Iterable<string>,
  options: TokenizerTraining,
): Promise<Vocabulary> {
  const settings = checkedSettings(options);
  const { signal, onProgress } = options;
  const counter = new ChunkCounter(settings.addSpacePrefix);
  let done = 0;
  let reported = 0;
  for await (const text of texts) {
    counter.add(text.toWellFormed());
    done += text.length;
    if (done - reported < countingInterval) continue;
    reported = done;
    throwIfAborted(signal);
    onProgress?.({ phase: "counting", done });
    await nextTurn();
  }
  onProgress?.({ phase: "counting", done });
  throwIfAborted(signal);
  const { counts } = counter;
  const characters = chosenCharacters(countCharacters(counts), settings);
  const fixed = fixedPieces(settings);
  const count = settings.vocabularySize - fixed.length - characters.length;
  if (count < 0)
    throw new CriaError(
      "bad-input",
      `vocabularySize: ${fixed.length} special pieces and ${characters.length} characters of the texts need more than ` +
        `${settings.vocabularySize}; choose a larger size, or a lower characterCoverage`,
    );
  const isPiece = new Set(characters);
  const merged = await learnMerges(weightedWords(counts, isPiece, settings.splitDigits), {
    characters,
    count,
    maxPieceLength: settings.maxPieceLength,
    reserved: new Set(fixed.map(({ piece }) => piece)),
    async onProgress(learned) {
      onProgress?.({ phase: "merging", done: learned, total: count });
      await nextTurn();
      throwIfAborted(signal);
    },
  });
  if (merged.length < count)
    throw new CriaError(
      "bad-input",
      `vocabularySize: the texts hold words for ${fixed.length + characters.length + merged.length} pieces, ` +
        `fewer than ${settings.vocabularySize}; give more text or a smaller size`,
    );
  return assemble(fixed, [...merged, ...characters.map((code) => String.fromCodePoint(code))], settings);
}

type Settings = Required<Omit<TokenizerTraining, "signal" | "onProgress">>;

function checkedSettings(options: TokenizerTraining): Settings {
  const { vocabularySize, controlSymbols = [], characterCoverage = 0.99995, maxPieceLength = 16 } = options;
  const { byteFallback = true, addSpacePrefix = true, splitDigits = true } = options;
  const refuse = (expected: string, got: unknown) =>
    new CriaError("bad-input", `train tokenizer: expected ${expected}, got ${String(got)}`);
  if (!Number.isInteger(vocabularySize) || vocabularySize < 4 || vocabularySize > 1 << 20)
    throw refuse(`vocabularySize from 4 to ${1 << 20}`, vocabularySize);
  if (!(characterCoverage > 0 && characterCoverage <= 1))
    throw refuse("characterCoverage above 0 and at most 1", characterCoverage);
  if (!Number.isInteger(maxPieceLength) || maxPieceLength < 1 || maxPieceLength > 64)
    throw refuse("maxPieceLength from 1 to 64", maxPieceLength);
  const names = new Set(["<unk>", "<s>", "</s>"]);
  for (const symbol of controlSymbols) {
    // A single character, or something with a space mark, could not be told from text.
    if ([...symbol].length < 2 || /[\s\u2581]|^<0x[0-9A-F]{2}>$/.test(symbol) || names.has(symbol))
      throw refuse(
        "control symbols of at least two characters, without spaces, each once",
        JSON.stringify(symbol),
      );
    names.add(symbol);
  }
  return {
    ...{ vocabularySize, controlSymbols, characterCoverage, maxPieceLength },
    ...{ byteFallback, addSpacePrefix, splitDigits },
  };
}

interface FixedPiece {
  readonly piece: string;
  readonly kind: number;
}

function fixedPieces({ controlSymbols, byteFallback }: Settings): FixedPiece[] {
  const { unknown, control, byte } = kindCodes;
  const bytes = byteFallback ? Array.from({ length: 256 }, (_, value) => value) : [];
  return [
    { piece: "<unk>", kind: unknown },
    ...["<s>", "</s>", ...controlSymbols].map((piece) => ({ piece, kind: control })),
    ...bytes.map((value) => ({
      piece: `<0x${value.toString(16).toUpperCase().padStart(2, "0")}>`,
      kind: byte,
    })),
  ];
}

/** Characters that become pieces, the most frequent first, after the space mark. */
function chosenCharacters(counts: ReadonlyMap<number, number>, settings: Settings): number[] {
  const spaceCode = spaceMark.charCodeAt(0);
  // A line end is a byte, as in Llama 2's vocabulary; without bytes it must be a piece.
  const usable = [...counts].filter(
    ([code]) => code !== 0 && code !== spaceCode && !(settings.byteFallback && isControl(code)),
  );
  if (usable.length === 0) throw new CriaError("bad-input", "train tokenizer: the texts hold no character");
  usable.sort(([codeA, countA], [codeB, countB]) => countB - countA || codeA - codeB);
  const total = usable.reduce((sum, [, count]) => sum + count, 0);
  const chosen = [spaceCode];
  let covered = 0;
  for (const [code, count] of usable) {
    if (covered >= settings.characterCoverage * total) break;
    chosen.push(code);
    covered += count;
  }
  return chosen;
}

function* weightedWords(
  chunks: ReadonlyMap<string, number>,
  pieces: ReadonlySet<number>,
  splitDigits: boolean,
): Iterable<[number[], number]> {
  const isPiece = (code: number): boolean => pieces.has(code) && !isControl(code);
  for (const [chunk, count] of chunks)
    for (const word of wordsOf(chunk, isPiece, splitDigits)) yield [word, count];
}

function assemble(fixed: readonly FixedPiece[], learned: readonly string[], settings: Settings): Vocabulary {
  const pieces = [...fixed.map(({ piece }) => piece), ...learned];
  const vocabulary: Vocabulary = {
    model: "llama",
    pieces,
    // 0 − 0 and not −0, which would be another bit pattern in files.
    scores: Float32Array.from(pieces, (_, id) => (id <= fixed.length ? 0 : fixed.length - id)),
    kinds: Uint8Array.from(pieces, (_, id) => fixed[id]?.kind ?? kindCodes.normal),
    merges: [],
    special: { unknown: 0, bos: 1, eos: 2 },
    addBos: true,
    addEos: false,
    addSpacePrefix: settings.addSpacePrefix,
    removeExtraWhitespaces: false,
    ignoreMerges: false,
    preTokenizer: "",
    patterns: [],
  };
  return withTurnEnd(checkVocabulary(vocabulary, "train tokenizer"));
}
