/**
 * Loss per character of one or more models on the same documents: what makes models with different tokenizers
 * comparable.
 *
 *   loss per character = −Σ log-probability of every token after the first / characters      (natural log)
 *
 *   node scripts/loss-per-character.ts --text FILE --share 0.05 MODEL…
 *
 * Documents are separated by a line `<|endoftext|>`; `--share` takes the last part of them, which the training of the
 * default model holds out (recipes/). Each is cut to its first 800 characters, so that it fits every context.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { load } from "../src/node.ts";

const longest = 800;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { text: { type: "string" }, share: { type: "string", default: "0.05" } },
});
if (!values.text || positionals.length === 0) {
  console.error("usage: node scripts/loss-per-character.ts --text FILE [--share 0.05] MODEL…");
  process.exit(2);
}
const documents = (await readFile(values.text, "utf8"))
  .split("<|endoftext|>")
  .map((text) => text.trim().slice(0, longest))
  .filter((text) => text !== "");
const heldOut = documents.slice(Math.floor(documents.length * (1 - Number(values.share))));
const characters = heldOut.reduce((sum, text) => sum + text.length, 0);

for (const source of positionals) {
  using model = await load(source);
  let loss = 0;
  let tokens = 0;
  for (const text of heldOut) {
    const generation = model.generate(text, { maxTokens: 0, promptLogProbabilities: true });
    const { promptLogProbabilities = [] } = await generation.result();
    for (const value of promptLogProbabilities.slice(1)) loss -= value;
    tokens += promptLogProbabilities.length - 1;
  }
  console.log(
    `${source}: ${(loss / characters).toFixed(4)} nats a character, ${(loss / tokens).toFixed(4)} a token, ` +
      `${heldOut.length} documents, ${characters} characters, ${tokens} tokens`,
  );
}
