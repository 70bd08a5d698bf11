/**
 * How fast text becomes ids and ids become text, in MB of UTF-8 per second: the first pass, with an empty cache of
 * words, and the median of later ones; then words of 10 MB, whose time must grow no faster than their length.
 *
 *   node bench/tokenizer.ts        (the data: CRIA_DATA, or ../shared/data)
 */
import { readFileSync } from "node:fs";
import { createTokenizer } from "../src/tokenizer/create-tokenizer.ts";
import { vocabularyFromGguf } from "../src/tokenizer/from-gguf.ts";
import { vocabularyFromSentencePiece } from "../src/tokenizer/from-sentence-piece.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { dataFile } from "../tests/data.ts";
import { readGgufMetadata } from "../tests/gguf-metadata.ts";

const passCount = 7;
const wordLength = 10_000_000;

function secondsOf(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function print(name: string, ...cells: string[]): void {
  console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(16)).join(""));
}

function measure(name: string, create: () => Tokenizer, text: string): void {
  let tokenizer = create();
  const megabytes = Buffer.byteLength(text) / 1e6;
  const rate = (seconds: number) => `${(megabytes / seconds).toFixed(1)} MB/s`;
  const load = secondsOf(() => {
    tokenizer = create();
  });
  const first = secondsOf(() => tokenizer.encode(text));
  const later = Array.from({ length: passCount }, () => secondsOf(() => tokenizer.encode(text)));
  const ids = tokenizer.encode(text);
  const decoding = Array.from({ length: passCount }, () => secondsOf(() => tokenizer.decode(ids)));
  print(name, `${(load * 1000).toFixed(0)} ms`, rate(first), rate(medianOf(later)), rate(medianOf(decoding)));

  const letters = text.replace(/[^A-Za-z]/g, "");
  const words = {
    letters: letters.repeat(Math.ceil(wordLength / letters.length)),
    "one letter": "a".repeat(wordLength),
    spaces: " ".repeat(wordLength),
  };
  for (const [label, word] of Object.entries(words)) {
    const whole = secondsOf(() => tokenizer.encode(word.slice(0, wordLength)));
    const tenth = secondsOf(() => tokenizer.encode(word.slice(0, wordLength / 10)));
    print(`  10 MB of ${label}`, `${whole.toFixed(2)} s`, `1 MB: ${tenth.toFixed(2)} s`);
  }
}

const textFile = dataFile("text/tinystories/tinystories.txt");
const llama2File = dataFile("tokenizers/llama2/tokenizer.model");
const gpt2File = dataFile("tokenizers/vectors/ggml-vocab-gpt-2.gguf");
if (textFile) {
  const text = readFileSync(textFile, "utf8");
  print("tokenizer", "load", "encode, first", "encode", "decode");
  if (llama2File) {
    const bytes = readFileSync(llama2File);
    measure("Llama 2 (SentencePiece)", () => createTokenizer(vocabularyFromSentencePiece(bytes)), text);
  }
  if (gpt2File) {
    const metadata = readGgufMetadata(gpt2File);
    measure("GPT-2 (byte-level)", () => createTokenizer(vocabularyFromGguf(metadata)), text);
  }
}
