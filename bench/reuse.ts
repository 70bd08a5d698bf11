/**
 * What is not computed twice: time to the first token with and without a cached prefix of 1,000 tokens, and tokens a
 * step with prompt lookup.
 *
 *   node bench/reuse.ts MODEL [repetitions] [--json name]
 */
import { parseArgs } from "node:util";
import { load } from "../src/node.ts";
import { describeRun, wholeNumber, writeResults } from "./compare/run.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
const [path, repetitions = "3"] = positionals;
if (!path) throw new Error("name a model file");
const threads = 2;
const run = describeRun(threads, wholeNumber("repetitions", repetitions, 1));
const results: object[] = [];
using model = await load(path, { sequences: 2, threads });
const room = model.config.vocabularySize - 300;
const prefixOf = (seed: number) =>
  Array.from({ length: 1000 }, (_, i) => 270 + ((seed * 7919 + i * 104_729) % room));
const first = async (ids: readonly number[]) => {
  const began = performance.now();
  const { timings } = await model.generate(ids, { maxTokens: 1, ignoreEnd: true }).result();
  return { ms: performance.now() - began, cached: timings.cache_n };
};
if (model.contextLength > 1010)
  for (let i = 0; i < Number(repetitions); i++) {
    const prefix = prefixOf(i);
    const cold = await first([...prefix, 300, 301]);
    const same = await first([...prefix, 400, 401]);
    // An answer that is not read on keeps the sequence with the prefix: the next prompt finds the pages in another.
    const held = model.generate([...prefix, 500, 501], { maxTokens: 2, ignoreEnd: true }).tokens();
    await held.next();
    const other = await first([...prefix, 600, 601]);
    await held.return();
    results.push({ uncached: cold, sameSequence: same, otherSequence: other });
    const share = (warm: { ms: number; cached: number }) =>
      `${warm.ms.toFixed(1)} ms with ${warm.cached} cached (${((100 * warm.ms) / cold.ms).toFixed(1)} %)`;
    console.log(
      `first token: ${cold.ms.toFixed(1)} ms uncached, same sequence ${share(same)}, another ${share(other)}`,
    );
  }
for (const text of ["Once upon a time", "Red, green, blue. Red, green, blue. Red, green,"]) {
  const plain = await model.generate(text, { maxTokens: 120, temperature: 0 }).result();
  const guessed = await model
    .generate(text, { maxTokens: 120, temperature: 0, speculate: "prompt-lookup" })
    .result();
  const { drafted = 0, accepted = 0 } = guessed.speculation ?? {};
  const [before, after] = [plain, guessed].map(({ timings }) => timings.predicted_per_second);
  results.push({ promptLookup: text, drafted, accepted, tokensPerSecond: before, withLookup: after });
  console.log(
    `prompt lookup, ${JSON.stringify(text)}: ${drafted} guessed, ${accepted} right, ` +
      `${(guessed.ids.length / (guessed.ids.length - accepted)).toFixed(2)} tokens a step, same text: ${plain.text === guessed.text}; ` +
      `${plain.timings.predicted_per_second.toFixed(0)} → ${guessed.timings.predicted_per_second.toFixed(0)} tokens/s`,
  );
}
if (values.json !== undefined) writeResults(values.json, { ...run, model: path.split("/").at(-1), results });
