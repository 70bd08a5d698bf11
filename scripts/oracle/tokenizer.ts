/**
 * Compares a tokenizer trained here with Python's sentencepiece library: `node scripts/oracle/tokenizer.ts TEXT SIZE FOLDER`.
 *
 * Trains on TEXT, writes FOLDER/tokenizer.model and FOLDER/ids.json (lines of the text and our ids), and says how to run
 * tokenizer.py, which encodes the same lines and decodes the ids.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import { vocabularyToSentencePiece } from "../../src/tokenizer/to-sentence-piece.ts";
import { trainTokenizer } from "../../src/tokenizer/train.ts";

const [path, size, folder] = process.argv.slice(2);
if (path === undefined || size === undefined || folder === undefined) {
  console.error("usage: node scripts/oracle/tokenizer.ts TEXT SIZE FOLDER");
  process.exit(2);
}
const text = readFileSync(path, "utf8");
const begin = performance.now();
const vocabulary = await trainTokenizer(text.split("<|endoftext|>"), {
  vocabularySize: Number(size),
  controlSymbols: ["<|user|>", "<|assistant|>"],
});
const seconds = (performance.now() - begin) / 1000;
const tokenizer = createTokenizer(vocabulary);
const odd = [
  "",
  " ",
  "  a  b ",
  "naïve café",
  "日本語 テスト",
  "😀👍🏽",
  "a\tb\nc",
  "12345.678",
  "</s><s><unk>",
  "<|user|>",
];
const lines = [...text.split("\n").slice(0, 20_000), ...odd].map((line) => line.toWellFormed());
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "tokenizer.model"), vocabularyToSentencePiece(vocabulary));
writeFileSync(
  join(folder, "ids.json"),
  JSON.stringify(lines.map((line) => ({ text: line, ids: tokenizer.encode(line) }))),
);
const tokens = tokenizer.encode(text).length;
console.log(
  `${text.length} characters in ${seconds.toFixed(1)} s: ${size} pieces, ${(text.length / tokens).toFixed(3)} characters a token, ` +
    `${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at the peak`,
);
console.log(`python scripts/oracle/tokenizer.py ${folder}`);
