/** Shows how sure a model is of each token of its answer: `node examples/likely-words.ts MODEL "beginning of a text"`. */
import { load } from "../src/node.ts";

const [source, prompt = "Once upon a time"] = process.argv.slice(2);
if (!source) throw new Error('usage: node examples/likely-words.ts MODEL "beginning of a text"');

using model = await load(source);
const answer = model.generate(prompt, { temperature: 0, maxTokens: 20, logProbabilities: 3 });
for await (const { id, logProbability = 0, alternatives = [] } of answer.tokens()) {
  const others = alternatives
    .filter((other) => other.id !== id)
    .map((other) => model.tokenizer.pieceOf(other.id));
  const percent = (100 * Math.exp(logProbability)).toFixed(1).padStart(5);
  console.log(`${percent} %  ${model.tokenizer.pieceOf(id)}   (instead of ${others.join(", ")})`);
}
